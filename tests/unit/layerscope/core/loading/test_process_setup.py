import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from layerscope.core.loading.process_setup import (
    keep_caches_small,
    keep_heap,
    settle_threads,
    usable_processors,
)


@pytest.fixture(autouse=True)
def sixteen_processors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("quota", "processors"), [("max 100000", 16), ("250000 100000", 2), ("50000 100000", 1)]
)
def test_quota_of_control_groups_2(tmp_path: Path, quota: str, processors: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_processors(tmp_path) == processors


@pytest.mark.parametrize(("quota", "processors"), [("-1", 16), ("300000", 3)])
def test_quota_of_control_groups_1(tmp_path: Path, quota: str, processors: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_processors(tmp_path) == processors


def test_no_quota_and_no_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_processors(tmp_path) == 16
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_processors(tmp_path) == os.cpu_count()


def test_threads_are_shared_by_processes(tmp_path: Path) -> None:
    assert settle_threads(8, tmp_path) == 2
    assert torch.get_num_threads() == 2
    assert settle_threads(100, tmp_path) == 1


def test_omp_num_threads_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert settle_threads(1, tmp_path) == 3


def test_a_c_library_without_mallopt_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_heap() in (True, False)
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not keep_heap()


def test_caches_are_small_unless_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    keep_caches_small()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "8"
