"""An adjustment that cannot be computed is nan, without an exception and without a warning."""

from collections.abc import Sequence

import numpy as np
import pytest

from layerscope.stats.length_adjustment import adjusted, adjusted_paired

NAN = np.nan


@pytest.mark.parametrize(
    ("tokens_a", "tokens_b"),
    [
        ([7.0] * 6, [7.0] * 6),
        ([7.0, 9.0] * 3, [7.0, 9.0] * 3),
        ([4095.0, 4096.0] * 3, [4096.0, 4095.0] * 3),
        ([5.0] * 6, [7.0, 9.0] * 3),
        ([7.0, 9.0] * 3, [7.0, 9.0] * 2 + [7.0, 3.0]),
    ],
    ids=[
        "one length",
        "two lengths",
        "two large lengths",
        "the lengths separate the domains",
        "one text determines the result",
    ],
)
def test_without_comparable_lengths_there_is_no_adjustment(
    tokens_a: list[float], tokens_b: list[float], rng: np.random.Generator
) -> None:
    a, b = rng.normal(size=(2, 6, 2))
    found = adjusted(a, np.array(tokens_a), b, np.array(tokens_b), np.ones(2))
    assert all(np.isnan(part).all() for part in found)


@pytest.mark.parametrize("lengths", [[7, 9, 12], range(4_056, 4_096)], ids=["three", "of truncated texts"])
def test_few_or_similar_lengths_are_enough(lengths: Sequence[int], rng: np.random.Generator) -> None:
    """For long texts 1/T and log T are nearly constant, but not collinear with the constant."""
    a, b = rng.normal(size=(2, 12, 2))
    tokens_a, tokens_b = rng.choice(lengths, (2, 12)).astype(float)
    found = adjusted(a, tokens_a, b, tokens_b, np.ones(2))
    assert all(np.isfinite(part).all() for part in found)


@pytest.mark.parametrize("texts", [0, 1, 2])
def test_too_few_texts_are_not_adjusted(texts: int, rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, texts, 2))
    tokens = np.arange(2.0, 2.0 + texts)
    for found in (
        adjusted(a, tokens, b, 3 * tokens, np.ones(2)),
        adjusted_paired(a, tokens, b, 3 * tokens, np.ones(2)),
    ):
        assert all(np.isnan(part).all() for part in found)


def test_pairs_of_equal_lengths_cannot_be_adjusted(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 9, 2))
    tokens = np.arange(3.0, 12.0)
    assert all(np.isnan(part).all() for part in adjusted_paired(a, tokens, b, tokens, np.ones(2)))


def test_a_missing_value_affects_only_its_column(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 12, 2))
    tokens = rng.integers(2, 200, 12).astype(float)
    whole = adjusted(a, tokens, b, tokens[::-1], np.ones(2))
    a[3, 0] = NAN
    found = adjusted(a, tokens, b, tokens[::-1], np.ones(2))
    assert np.isnan(found.adjusted_p_value[0])
    assert found.adjusted_p_value[1] == whole.adjusted_p_value[1]


def test_a_text_without_values_is_left_out(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 12, 2))
    tokens = rng.integers(2, 200, 12).astype(float)
    without = adjusted(a[1:], tokens[1:], b, tokens[::-1], np.ones(2))
    without_pair = adjusted_paired(a[1:], tokens[1:], b[1:], tokens[::-1][1:], np.ones(2))
    a[0] = NAN
    np.testing.assert_array_equal(adjusted(a, tokens, b, tokens[::-1], np.ones(2)), without)
    np.testing.assert_array_equal(adjusted_paired(a, tokens, b, tokens[::-1], np.ones(2)), without_pair)


def test_a_domain_without_values_cannot_be_adjusted(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 12, 2))
    tokens = rng.integers(2, 200, 12).astype(float)
    a[:] = NAN
    for one, other in ((a, b), (b, a)):
        for adjust in (adjusted, adjusted_paired):
            found = adjust(one, tokens, other, tokens[::-1], np.ones(2))
            assert all(np.isnan(part).all() for part in found)


def test_an_exact_fit_has_no_result(rng: np.random.Generator) -> None:
    tokens = rng.integers(2, 200, 12).astype(float)
    exact = (2 + 3 / tokens)[:, None]
    found = adjusted(exact, tokens, exact[::-1], tokens[::-1], np.ones(1))
    assert all(np.isnan(part).all() for part in found)
