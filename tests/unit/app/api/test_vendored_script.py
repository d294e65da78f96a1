"""The vendored script is the published one."""

import hashlib
import re

from app.resources import ROOT

FOLDER = ROOT / "app" / "api" / "static" / "echarts"


def test_its_sha256_and_version_are_those_of_its_source() -> None:
    source = (FOLDER / "SOURCE.txt").read_text()
    script = (FOLDER / "echarts.min.js").read_bytes()
    (digest,) = re.findall(r"sha256 (\w{64})", source)
    (version,) = re.findall(r"ECharts ([\d.]+),", source)
    assert hashlib.sha256(script).hexdigest() == digest
    assert f'version="{version}"'.encode() in script
    assert (FOLDER / "LICENSE").read_text().lstrip().startswith("Apache License")
