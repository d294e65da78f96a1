"""The packages of the images: known vulnerabilities, licences, and a software bill of materials (SBOM).

`make audit` and `make sbom` install what the images contain into a virtual environment, and call this module.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUPPLY = ROOT / "var" / "supply"
IMAGE, TOOLS = SUPPLY / "image" / "bin", SUPPLY / "tools" / "bin"
SBOM, LICENCES = SUPPLY / "layerscope.cdx.json", SUPPLY / "licences.md"
SHOWN = 5  # packages that are named in a message
VULNERABLE, NOT_CHECKED = 1, 2


def audit() -> int:
    """Prints the licences and the known vulnerabilities. 0: all packages were checked, none is vulnerable."""
    print(licences())
    pins = SUPPLY / "pins.txt"
    pins.write_text(_output(IMAGE / "pip", "freeze", "--all", "--exclude", "layerscope").replace("+cpu", ""))
    options = (
        "--disable-pip",
        "--no-deps",
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--requirement",
        pins,
    )
    answer = subprocess.run([TOOLS / "pip-audit", *options], capture_output=True, text=True)
    code, message = result_of(answer.stdout, answer.stderr)
    print(message, file=sys.stderr if code else sys.stdout)
    return code


def result_of(report: str, errors: str) -> tuple[int, str]:
    """The exit code, and what the report of pip-audit says. A package that was not checked is not a success.

    pip-audit itself ends with 0 if the index has no information on any package.
    """
    try:
        packages = json.loads(report)["dependencies"]
    except ValueError:
        reason = errors.strip().rpartition("\n")[2] or "it gave no reason"
        return NOT_CHECKED, f"NOT AUDITED: no vulnerability service answered ({reason})."
    vulnerable = [package for package in packages if package.get("vulns")]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    checked = len(packages) - len(skipped)
    lines = [
        _vulnerability(package, vulnerability) for package in vulnerable for vulnerability in package["vulns"]
    ]
    lines += [f"{checked} of {len(packages)} packages were checked, {len(vulnerable)} are vulnerable."]
    if skipped:
        names = ", ".join(skipped[:SHOWN]) + (", …" if len(skipped) > SHOWN else "")
        lines += [f"NOT AUDITED: the service knows nothing about {len(skipped)} packages: {names}"]
    code = VULNERABLE if vulnerable else NOT_CHECKED if skipped or not packages else 0
    return code, "\n".join(lines)


def _vulnerability(package: dict[str, Any], found: dict[str, Any]) -> str:
    versions = ", ".join(found["fix_versions"]) or "no version"
    return f"{package['name']} {package['version']}: {found['id']}, fixed in {versions}"


def licences() -> str:
    """Writes the list of licences, and returns the number of packages by licence."""
    python = f"--python={IMAGE / 'python'}"
    listed = _output(TOOLS / "pip-licenses", python, "--from=mixed", "--with-system", "--format=markdown")
    LICENCES.write_text(listed)
    summary = _output(TOOLS / "pip-licenses", python, "--from=mixed", "--with-system", "--summary")
    return f"{summary}\nThe licence of each package: {LICENCES.relative_to(ROOT)}\n"


def sbom() -> int:
    """Writes the bill of materials in the format CycloneDX. The tool validates it."""
    options = ("--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--output-file", SBOM)
    _output(TOOLS / "cyclonedx-py", "environment", *options, IMAGE / "python")
    components = json.loads(SBOM.read_text())["components"]
    print(f"{SBOM.relative_to(ROOT)} has {len(components)} components")
    return 0


def _output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(arguments: Sequence[str]) -> int:
    return {"audit": audit, "sbom": sbom}[arguments[0]]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
