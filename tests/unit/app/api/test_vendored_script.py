"""The vendored scripts are the published ones."""

import hashlib
import re

import pytest

from app.resources import ROOT

STATIC = ROOT / "app" / "api" / "static"
SCRIPTS = {
    "echarts": ("echarts.min.js", "ECharts", 'version="{}"', "Apache License"),
    "redoc": ("redoc.standalone.js", "Redoc", '"{}"', "The MIT License (MIT)"),
}


@pytest.mark.parametrize(("folder", "script"), SCRIPTS.items(), ids=SCRIPTS)
def test_its_sha256_and_version_are_those_of_its_source(
    folder: str, script: tuple[str, str, str, str]
) -> None:
    name, product, mark, licence = script
    source = (STATIC / folder / "SOURCE.txt").read_text()
    content = (STATIC / folder / name).read_bytes()
    (digest,) = re.findall(r"sha256 (\w{64})", source)
    (version,) = re.findall(rf"{product} ([\d.]+),", source)
    assert hashlib.sha256(content).hexdigest() == digest
    assert mark.format(version).encode() in content
    assert (STATIC / folder / "LICENSE").read_text().lstrip().startswith(licence)
