import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from layerscope.stats.sampling import sample

ORDINALS = st.sets(st.integers(0, 10**6), max_size=60)


@given(ORDINALS, st.integers(0, 70), st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_a_sample(ordinals: set[int], count: int, seed: int, random: object) -> None:
    found = sample(ordinals, count, seed)
    assert found == sorted(set(found))
    assert set(found) <= ordinals
    assert len(found) == min(count, len(ordinals))
    assert sample(sorted(ordinals, reverse=True), count, seed) == found
    assert set(found) <= set(sample(ordinals, count + 1, seed))


@given(ORDINALS, st.integers(0, 20), st.integers(0, 2**32), st.integers(1, 60))
def test_a_sample_does_not_depend_on_shards(ordinals: set[int], count: int, seed: int, shard: int) -> None:
    ordered = sorted(ordinals)
    parts = [sample(ordered[i : i + shard], count, seed) for i in range(0, len(ordered), shard)]
    assert sample((ordinal for part in parts for ordinal in part), count, seed) == sample(
        ordinals, count, seed
    )


def test_every_process_draws_the_same_sample() -> None:
    code = "from layerscope.stats.sampling import sample; print(sample(range(1000), 5, 7))"
    environment = {"PYTHONHASHSEED": "12345"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.stdout == f"{sample(range(1000), 5, 7)}\n", run.stderr
    assert sample(range(1000), 5, 7) == [53, 759, 789, 894, 923]  # in every version, too


def test_every_text_has_the_same_chance() -> None:
    """Counts of 40 ordinals over 2,000 seeds, 10 drawn each time."""
    counts = [0] * 40
    for seed in range(2_000):
        for ordinal in sample(range(40), 10, seed):
            counts[ordinal] += 1
    # Without replacement the variance of a count is (1 − 10/40) times that of a multinomial.
    chi_square = sum((count - 500) ** 2 / 500 for count in counts) / (1 - 10 / 40) * 39 / 40
    assert stats.chi2.sf(chi_square, 39) > 1e-4
    assert pytest.approx(500, abs=120) == max(counts)
