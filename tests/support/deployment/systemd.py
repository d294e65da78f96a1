"""The units of deploy/systemd."""

from app.resources import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = ("layerscope-api.service", "layerscope-migrate.service", "layerscope-worker@.service")
SERVICES = ("layerscope-api.service", "layerscope-worker@.service")  # those that keep running

Unit = dict[str, dict[str, list[str]]]


def unit(name: str) -> Unit:
    """The values of each name in each section. An empty value stays."""
    found: Unit = {}
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found
