import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from layerscope.stats.ranks import GROUPS, Ranks, TextGroups

Array = NDArray[np.float64]


def ranks_of(texts: Array) -> Ranks:
    groups = TextGroups(texts.shape[1:])
    for values in texts:
        groups.add(values)
    return groups.ranks()


def test_one_is_the_largest_mean_of_each_metric(rng: np.random.Generator) -> None:
    texts = rng.normal(size=(30, 2, 6, 2))
    found = ranks_of(texts)
    np.testing.assert_array_equal(found.rank, stats.rankdata(-texts.mean(0), axis=1))
    assert (found.ci_low <= found.rank).all()
    assert (found.rank <= found.ci_high).all()


@pytest.mark.parametrize("n", [20, GROUPS, 4 * GROUPS + 3])
def test_clear_ranks_are_certain_and_equal_layers_are_not(n: int, rng: np.random.Generator) -> None:
    texts = rng.normal(size=(n, 4, 1)) * 0.1
    texts[:, 0] += 5
    texts[:, 1] -= 5
    found = ranks_of(texts)
    assert (found.ci_low[0, 0], found.rank[0, 0], found.ci_high[0, 0]) == (1, 1, 1)
    assert (found.ci_low[1, 0], found.rank[1, 0], found.ci_high[1, 0]) == (4, 4, 4)
    assert (found.ci_low[2:, 0].min(), found.ci_high[2:, 0].max()) == (2, 3)


def test_a_text_is_resampled_with_all_its_layers(rng: np.random.Generator) -> None:
    """What shakes all layers of a text alike leaves their order alone."""
    shaken = 100 * rng.normal(size=(30, 1, 1)) + np.array([1.0, 2.0, 3.0])[:, None]
    found = ranks_of(shaken)
    np.testing.assert_array_equal(found.ci_low, found.ci_high)
    independent = ranks_of(100 * rng.normal(size=(30, 3, 1)) + np.array([1.0, 2.0, 3.0])[:, None])
    assert (independent.ci_low < independent.ci_high).all()


def test_groups_are_as_uncertain_as_texts(rng: np.random.Generator) -> None:
    """With a gap of 2.5 standard errors two layers change places in about 4 of 100 resamples."""
    n = 8 * GROUPS
    texts = rng.normal(size=(n, 2, 400))
    texts -= texts.mean(0)
    texts[:, 0] += 1.5 * np.sqrt(2 / n)
    texts[:, 1, 200:] -= 2.0 * np.sqrt(2 / n)
    uncertain = ranks_of(texts).ci_high[0] > 1
    assert uncertain[:200].all()
    assert not uncertain[200:].any()


def test_a_layer_without_values_has_no_rank_and_takes_none(rng: np.random.Generator) -> None:
    texts = rng.normal(size=(10, 3, 1)) - np.array([9.0, 5.0, 4.0])[:, None]
    texts[:, 1] = np.nan
    found = ranks_of(texts)
    np.testing.assert_array_equal(found.rank[:, 0], [2, np.nan, 1])
    np.testing.assert_array_equal(found.ci_low[:, 0], [2, np.nan, 1])


def test_a_text_without_a_value_does_not_count(rng: np.random.Generator) -> None:
    """Nor does a resample that holds none of the two texts with a value."""
    texts = rng.normal(size=(10, 2, 6, 2))
    absent = rng.random(texts.shape) < 0.3
    absent[:, 0, 0, 0] = np.arange(10) >= 2
    texts[absent] = np.nan
    found = ranks_of(texts)
    np.testing.assert_array_equal(found.rank, stats.rankdata(-np.nanmean(texts, axis=0), axis=1))
    assert np.isfinite(found.ci_low).all()
    assert np.isfinite(found.ci_high).all()


def test_as_many_texts_are_drawn_as_there_are() -> None:
    """The layer in the middle would be first only where one of two texts had twice the other's weight."""
    found = ranks_of(np.array([[[0.0], [2.4], [5.2]], [[6.0], [2.4], [-4.8]]]))
    assert (found.rank[1, 0], found.ci_low[1, 0], found.ci_high[1, 0]) == (2, 2, 2)


def test_bounds_are_ranks(rng: np.random.Generator) -> None:
    found = ranks_of(rng.normal(size=(20, 8, 100)))
    np.testing.assert_array_equal(found.ci_low, np.round(found.ci_low))
    np.testing.assert_array_equal(found.ci_high, np.round(found.ci_high))


def test_one_text_has_ranks_without_certainty_and_ties_share_the_better_one() -> None:
    found = ranks_of(np.array([[[2.0], [3.0], [2.0]]]))
    np.testing.assert_array_equal(found.rank[:, 0], [2, 1, 2])
    assert np.isnan(found.ci_low).all()


def test_the_same_texts_give_the_same_ranks_in_any_unit(rng: np.random.Generator) -> None:
    texts = rng.lognormal(size=(40, 8, 2))
    for one, other in zip(vars(ranks_of(texts)).values(), vars(ranks_of(texts * 3)).values(), strict=True):
        np.testing.assert_array_equal(one, other)
