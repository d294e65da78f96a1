"""`make manifests`: renders each overlay, and compares it with the schemas and with the policies."""

import json
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from tools.manifests import keda
from tools.manifests.rendering import (
    FOLDER,
    KUBERNETES,
    OVERLAYS,
    Manifest,
    find_kubectl,
    is_of_keda,
    manifests,
    render,
)
from tools.manifests.unpack_kubectl import unpack_kubectl

SCHEMAS, POLICIES = FOLDER / "schemas" / "bin", FOLDER / "policies" / "bin"
VERSIONS = ("1.30.0", "1.37.0")  # of Kubernetes: the oldest and the newest


def main() -> int:
    kubectl = find_kubectl() or unpack_kubectl()
    return max(check(overlay, render(kubectl, overlay)) for overlay in OVERLAYS)


def check(overlay: str, rendered: str) -> int:
    """0 if all checks succeed. Each of them prints what it finds."""
    print(f"{overlay}:", flush=True)
    whole, kubernetes_only = FOLDER / f"{overlay}.yaml", FOLDER / f"{overlay}-kubernetes.yaml"
    whole.write_text(rendered, encoding="utf-8")
    found = manifests(rendered)
    _write(kubernetes_only, [manifest for manifest in found if not is_of_keda(manifest)])
    codes = [_matches_schemas(kubernetes_only, version) for version in VERSIONS]
    of_keda = json.dumps([manifest for manifest in found if is_of_keda(manifest)])
    codes.append(subprocess.run([SCHEMAS / "python", keda.__file__], input=of_keda, text=True).returncode)
    codes.append(_follows_policies(whole))
    return max(codes)


def _write(path: Path, parts: list[Manifest]) -> None:
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump_all(parts, file)


def _matches_schemas(path: Path, version: str) -> int:
    options = ("--strict", "--quiet", "--kubernetes-version", version)
    code = subprocess.run([SCHEMAS / "kubernetes-validate", *options, path]).returncode
    print(f"Kubernetes {version}: {'valid' if code == 0 else 'INVALID'}", flush=True)
    return code


def _follows_policies(path: Path) -> int:
    configuration = KUBERNETES / "checkov.yaml"
    return subprocess.run([POLICIES / "checkov", "--config-file", configuration, "--file", path]).returncode


if __name__ == "__main__":
    sys.exit(main())
