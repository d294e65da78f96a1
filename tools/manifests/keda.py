"""Compares manifests of KEDA with its schemas, in the environment of `make manifests`.

The schemas are the models that the package `cloudcoil-models-keda` generated from the definitions of KEDA.
Models ignore what they do not know, so a field that they do not give back is not a field of KEDA.
"""

import json
import sys
from typing import Any


def unknown_fields(given: Any, read: Any, place: str = "") -> list[str]:
    """The places of `given` that are missing in `read`."""
    if isinstance(given, dict):
        return [
            found
            for name, value in given.items()
            for found in (
                unknown_fields(value, read[name], f"{place}.{name}") if name in read else [f"{place}.{name}"]
            )
        ]
    if isinstance(given, list):
        parts = enumerate(zip(given, read, strict=True))
        return [found for i, (a, b) in parts for found in unknown_fields(a, b, f"{place}[{i}]")]
    return []


def main() -> int:
    from cloudcoil.models.keda import v1alpha1

    found = []
    for manifest in json.load(sys.stdin):
        model = getattr(v1alpha1, manifest["kind"]).model_validate(manifest)
        read = model.model_dump(by_alias=True, exclude_unset=True, mode="json")
        found += [f"{manifest['kind']}: {place} is unknown" for place in unknown_fields(manifest, read)]
    print("\n".join(found) or "The manifests of KEDA have the fields of its schemas.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
