"""Prints a table of the limits with the values found, then the violations. Exit code 1 if there are any."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.structure import duplicates, imports, names, retired_terms, rules, sizes, terms
from tools.structure.sources import Check, read_sources

ROOT = Path(__file__).resolve().parents[2]


def checks_of(root: Path) -> list[Check]:
    """All checks that can fail."""
    enforced = read_sources(root, rules.ENFORCED)
    others = read_sources(root, rules.REPORTED)
    return [
        *sizes.checks(enforced),
        imports.check_circular_imports(enforced),
        imports.check_packages(enforced, rules.PACKAGES),
        imports.check_layer_order(enforced, rules.LAYERS),
        duplicates.check_duplicates([*enforced, *others]),
        names.check_names(read_sources(root, rules.PRODUCT), rules.NAMES),
        _check_retired_terms(root),
    ]


def _check_retired_terms(root: Path) -> Check:
    listed = retired_terms
    return terms.check_terms(root, listed.PLACES, listed.TERMS, listed.ALLOWED, listed.EXCLUDED)


def table(title: str, checks: Sequence[Check]) -> str:
    rows = [(title, "limit", "found"), *((check.rule, check.limit, check.found) for check in checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def main(root: Path = ROOT) -> int:
    checks = checks_of(root)
    print(table(" ".join(rules.ENFORCED), checks))
    for folder in rules.REPORTED:
        print()
        print(table(f"{folder} (not enforced)", sizes.checks(read_sources(root, [folder]))))
    violations = [violation for check in checks for violation in check.violations]
    print(f"\n{len(violations)} violations")
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
