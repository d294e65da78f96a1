"""Each problem of a machine has a remedy."""

import os
from pathlib import Path

import pytest

from app.doctor.findings import Finding, Grade
from app.doctor.machine import (
    GIB,
    check_disk,
    check_machine,
    check_memory,
    check_packages,
    check_platform,
    check_python,
    judge_gpu,
    missing_packages,
)


def test_this_machine_is_checked(tmp_path: Path) -> None:
    found = {finding.check: finding for finding in check_machine(tmp_path / "var")}
    assert list(found) == ["Python", "platform", "packages", "memory", "disk", "GPU"]
    assert found["packages"].grade == found["Python"].grade == Grade.OK
    assert "PyTorch" in found["GPU"].detail
    assert missing_packages() == []


@pytest.mark.parametrize(
    ("finding", "grade"),
    [
        (check_python((3, 10, 1)), Grade.PROBLEM),
        (check_python((3, 13, 0)), Grade.OK),
        (check_platform("win32", "AMD64"), Grade.WARNING),
        (check_platform("darwin", "arm64"), Grade.OK),
        (check_packages(["torch"]), Grade.WARNING),
        (check_memory((GIB, 8 * GIB)), Grade.WARNING),
        (check_memory((6 * GIB, 8 * GIB)), Grade.OK),
        (check_memory(None), Grade.WARNING),
        (judge_gpu(None, None), Grade.WARNING),
        (judge_gpu(None, "2.13.0+cpu None False"), Grade.OK),
        (judge_gpu("H100, driver 580", "2.13.0 13.0 True"), Grade.OK),
        (judge_gpu("H100, driver 580", "2.13.0+cpu None False"), Grade.WARNING),
        (judge_gpu("H100, driver 470", "2.13.0 13.0 False"), Grade.WARNING),
    ],
)
def test_what_is_not_good_has_a_remedy(finding: Finding, grade: Grade) -> None:
    assert finding.grade == grade
    assert bool(finding.remedy) == (grade != Grade.OK)
    assert finding.detail


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert check_disk(tmp_path / "var").grade == Grade.PROBLEM
