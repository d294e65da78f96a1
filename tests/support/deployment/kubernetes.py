"""The rendered manifests of deploy/kubernetes."""

from functools import cache
from typing import Any

import pytest

from tools.manifests.rendering import Manifest, find_kubectl, manifests, render

KUBECTL = find_kubectl()

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is missing: run `make manifests`")


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    assert KUBECTL is not None
    return tuple(manifests(render(KUBECTL, overlay)))


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    return [manifest for manifest in rendered(overlay) if manifest["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Manifest:
    (found,) = [manifest for manifest in of_kind(overlay, kind) if manifest["metadata"]["name"] == name]
    return found


def templates(overlay: str) -> list[Manifest]:
    """All pods, and the templates of those that others create."""
    found = [manifest["spec"]["template"] for manifest in of_kind(overlay, "Deployment", "Job")]
    return found + of_kind(overlay, "Pod")


def containers(overlay: str) -> list[Manifest]:
    """Of all pods, with those that initialize them."""
    pods = [template["spec"] for template in templates(overlay)]
    return [each for pod in pods for each in (*pod.get("initContainers", ()), *pod["containers"])]


def environment(container: Manifest) -> dict[str, Any]:
    """Each variable: its value, or where it comes from."""
    found = container.get("env", ())
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in found}
