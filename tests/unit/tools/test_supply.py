"""What `make audit` says. The reports are those of pip-audit 2.10."""

import json
from typing import Any

import pytest

from tools.supply import NOT_CHECKED, VULNERABLE, result_of

CHECKED = {"name": "idna", "version": "3.20", "vulns": []}
UNKNOWN = {
    "name": "torch",
    "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0)",
}
FOUND = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [{"id": "PYSEC-2014-8", "fix_versions": ["2.7.2"], "aliases": [], "description": "…"}],
}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_packages_without_vulnerabilities_are_a_success() -> None:
    assert result_of(report(CHECKED, CHECKED), "") == (0, "2 of 2 packages were checked, 0 are vulnerable.")


def test_vulnerabilities_are_listed() -> None:
    code, message = result_of(report(CHECKED, FOUND), "")
    assert code == VULNERABLE
    assert "jinja2 2.4.1: PYSEC-2014-8, fixed in 2.7.2" in message


def test_a_vulnerability_without_a_fix_says_so() -> None:
    unfixed = FOUND | {"vulns": [{"id": "PYSEC-1", "fix_versions": []}]}
    assert "PYSEC-1, fixed in no version" in result_of(report(unfixed, UNKNOWN), "")[1]


@pytest.mark.parametrize("others", [(), (CHECKED,)], ids=["no package", "one of two"])
def test_packages_that_were_not_checked_are_no_success(others: tuple[dict[str, Any], ...]) -> None:
    """pip-audit itself ends with 0 here."""
    code, message = result_of(report(UNKNOWN, *others), "")
    assert code == NOT_CHECKED
    assert f"{len(others)} of {1 + len(others)} packages were checked" in message
    assert "NOT AUDITED: the service knows nothing about 1 packages: torch" in message


def test_a_report_about_nothing_is_no_success() -> None:
    assert result_of(report(), "")[0] == NOT_CHECKED


def test_a_service_that_does_not_answer_is_named() -> None:
    code, message = result_of("", "Traceback\nConnectionError: cannot reach pypi.org\n")
    assert code == NOT_CHECKED
    assert (
        message == "NOT AUDITED: no vulnerability service answered (ConnectionError: cannot reach pypi.org)."
    )
