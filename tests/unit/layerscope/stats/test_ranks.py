import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from layerscope.stats.ranks import GROUPS, Ranks, TextGroups

Array = NDArray[np.float64]


def ranks_of(texts: Array) -> Ranks:
    groups = TextGroups(texts.shape[1:])
    groups.add(texts)
    return groups.ranks()


def test_rank_one_is_the_largest_mean_of_each_metric(rng: np.random.Generator) -> None:
    texts = rng.normal(size=(30, 2, 6, 2))
    found = ranks_of(texts)
    np.testing.assert_array_equal(found.rank, stats.rankdata(-texts.mean(0), axis=1))
    assert (found.ci_low <= found.rank).all()
    assert (found.rank <= found.ci_high).all()


@pytest.mark.parametrize("n", [20, GROUPS, 4 * GROUPS + 3])
def test_intervals_of_clear_ranks_and_of_equal_layers(n: int, rng: np.random.Generator) -> None:
    texts = rng.normal(size=(n, 4, 1)) * 0.1
    texts[:, 0] += 5
    texts[:, 1] -= 5
    found = ranks_of(texts)
    assert (found.ci_low[0, 0], found.rank[0, 0], found.ci_high[0, 0]) == (1, 1, 1)
    assert (found.ci_low[1, 0], found.rank[1, 0], found.ci_high[1, 0]) == (4, 4, 4)
    assert (found.ci_low[2:, 0].min(), found.ci_high[2:, 0].max()) == (2, 3)


def test_a_text_is_resampled_with_all_its_layers(rng: np.random.Generator) -> None:
    """An effect that is equal in all layers of a text does not change their order."""
    shifted = 100 * rng.normal(size=(30, 1, 1)) + np.array([1.0, 2.0, 3.0])[:, None]
    found = ranks_of(shifted)
    np.testing.assert_array_equal(found.ci_low, found.ci_high)
    independent = ranks_of(100 * rng.normal(size=(30, 3, 1)) + np.array([1.0, 2.0, 3.0])[:, None])
    assert (independent.ci_low < independent.ci_high).all()


def test_groups_of_texts_have_the_uncertainty_of_single_texts(rng: np.random.Generator) -> None:
    """At a difference of 2.5 standard errors two layers change their order in about 4 of 100 resamples."""
    n = 8 * GROUPS
    texts = rng.normal(size=(n, 2, 400))
    texts -= texts.mean(0)
    texts[:, 0] += 1.5 * np.sqrt(2 / n)
    texts[:, 1, 200:] -= 2.0 * np.sqrt(2 / n)
    uncertain = ranks_of(texts).ci_high[0] > 1
    assert uncertain[:200].all()
    assert not uncertain[200:].any()


def test_a_layer_without_values_has_no_rank_and_does_not_change_other_ranks(rng: np.random.Generator) -> None:
    texts = rng.normal(size=(10, 3, 1)) - np.array([9.0, 5.0, 4.0])[:, None]
    texts[:, 1] = np.nan
    found = ranks_of(texts)
    np.testing.assert_array_equal(found.rank[:, 0], [2, np.nan, 1])
    np.testing.assert_array_equal(found.ci_low[:, 0], [2, np.nan, 1])


def test_a_text_without_a_value_does_not_count(rng: np.random.Generator) -> None:
    """A resample without the two texts that have a value does not count either."""
    texts = rng.normal(size=(10, 2, 6, 2))
    missing = rng.random(texts.shape) < 0.3
    missing[:, 0, 0, 0] = np.arange(10) >= 2
    texts[missing] = np.nan
    found = ranks_of(texts)
    np.testing.assert_array_equal(found.rank, stats.rankdata(-np.nanmean(texts, axis=0), axis=1))
    assert np.isfinite(found.ci_low).all()
    assert np.isfinite(found.ci_high).all()


def test_a_resample_has_as_many_texts_as_the_sample() -> None:
    """The middle layer would be first only if one of two texts had twice the weight of the other."""
    found = ranks_of(np.array([[[0.0], [2.4], [5.2]], [[6.0], [2.4], [-4.8]]]))
    assert (found.rank[1, 0], found.ci_low[1, 0], found.ci_high[1, 0]) == (2, 2, 2)


def test_the_bounds_are_whole_ranks(rng: np.random.Generator) -> None:
    found = ranks_of(rng.normal(size=(20, 8, 100)))
    np.testing.assert_array_equal(found.ci_low, np.round(found.ci_low))
    np.testing.assert_array_equal(found.ci_high, np.round(found.ci_high))


def test_one_text_has_ranks_without_intervals_and_equal_means_share_the_better_rank() -> None:
    found = ranks_of(np.array([[[2.0], [3.0], [2.0]]]))
    np.testing.assert_array_equal(found.rank[:, 0], [2, 1, 2])
    assert np.isnan(found.ci_low).all()


def test_the_same_texts_give_the_same_ranks_in_any_unit(rng: np.random.Generator) -> None:
    texts = rng.lognormal(size=(40, 8, 2))
    for one, other in zip(vars(ranks_of(texts)).values(), vars(ranks_of(texts * 3)).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_texts_that_are_added_together_count_as_if_added_one_by_one(rng: np.random.Generator) -> None:
    texts = rng.normal(size=(2 * GROUPS + 9, 3, 2))
    texts[rng.random(texts.shape) < 0.1] = np.nan
    groups = TextGroups(texts.shape[1:])
    for start in range(0, len(texts), 7):
        groups.add(texts[start : start + 7])
    for found, expected in zip(vars(groups.ranks()).values(), vars(ranks_of(texts)).values(), strict=True):
        np.testing.assert_array_equal(found, expected)
