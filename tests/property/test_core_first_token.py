import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from layerscope.stats.token_share import FirstTokenShares, first_token_share

Array = NDArray[np.float64]

VALUES = st.floats(2**-10, 2**10)


@st.composite
def profiles(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    """Values of scope `first`, of scope `rest`, (texts, layers) both, and token counts."""
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    first, rest = (draw(hnp.arrays(np.float64, shape, elements=VALUES)) for _ in range(2))
    return first, rest, draw(hnp.arrays(np.float64, shape[:1], elements=st.integers(1, 3_000)))


def whole(first: Array, rest: Array, tokens: Array) -> Array:
    count = tokens[:, None]
    return first / count + rest * (count - 1) / count


@given(profiles())
def test_shares_agree_with_the_definition(profile: tuple[Array, Array, Array]) -> None:
    first, rest, tokens = profile
    all_tokens = whole(first, rest, tokens)
    part = first / tokens[:, None]
    share = first_token_share(all_tokens, first, tokens)
    np.testing.assert_allclose(share.mean, part.mean(axis=0) / all_tokens.mean(axis=0), rtol=1e-12)
    for layer, found in enumerate(share.variance):
        if len(tokens) < 2 or np.ptp(all_tokens[:, layer]) == 0:
            assert np.isnan(found)
            continue
        covariance = np.cov(part[:, layer], all_tokens[:, layer])
        if covariance[1, 1] > 1e-16 * all_tokens[:, layer].max() ** 2:  # otherwise it contains only rounding
            spread = np.sqrt(covariance[0, 0] / covariance[1, 1])
            np.testing.assert_allclose(
                found, covariance[0, 1] / covariance[1, 1], rtol=1e-6, atol=1e-6 * max(1, spread)
            )


@given(profiles())
def test_both_shares_add_up_to_one(profile: tuple[Array, Array, Array]) -> None:
    """The share of the rest is computed as if it were the first token: its part is rest · (T − 1) / T."""
    first, rest, tokens = profile
    all_tokens = whole(first, rest, tokens)
    one = first_token_share(all_tokens, first, tokens)
    other = first_token_share(all_tokens, rest * (tokens[:, None] - 1), tokens)
    np.testing.assert_allclose(one.mean + other.mean, 1, rtol=1e-12)
    known = ~np.isnan(one.variance)
    far = all_tokens.std(axis=0) > 1e-6 * all_tokens.max(axis=0)
    size = 1 + np.abs(one.variance)
    off = np.abs(one.variance + other.variance - 1) / size
    assert (off[known & far] < 1e-6).all()


@given(profiles(), st.sampled_from([2.0**-20, 2.0**13]), st.randoms(use_true_random=False))
def test_neither_scale_nor_order_changes_a_share(
    profile: tuple[Array, Array, Array], unit: float, random: object
) -> None:
    first, rest, tokens = profile
    all_tokens = whole(first, rest, tokens)
    order = np.random.default_rng(len(tokens)).permutation(len(tokens))
    one = first_token_share(all_tokens, first, tokens)
    scaled = first_token_share(all_tokens * unit, first * unit, tokens)
    np.testing.assert_array_equal(scaled.mean, one.mean)
    np.testing.assert_array_equal(scaled.variance, one.variance)
    turned = first_token_share(all_tokens[order], first[order], tokens[order])
    np.testing.assert_allclose(turned.mean, one.mean, rtol=1e-12)
    assert (np.isnan(turned.variance) == np.isnan(one.variance)).all()


@given(profiles(), st.integers(0, 12))
def test_texts_that_are_added_in_parts_count_as_if_added_together(
    profile: tuple[Array, Array, Array], cut: int
) -> None:
    first, rest, tokens = profile
    all_tokens = whole(first, rest, tokens)
    shares = FirstTokenShares(first.shape[1:])
    for part in (slice(cut), slice(cut, None)):
        shares.add(all_tokens[part], first[part], tokens[part])
    together = first_token_share(all_tokens, first, tokens)
    np.testing.assert_allclose(shares.share().mean, together.mean, rtol=1e-12)
    np.testing.assert_allclose(shares.share().variance, together.variance, rtol=1e-9, atol=1e-12)


def test_texts_that_differ_only_by_rounding_have_no_variance_in_any_order() -> None:
    value, tokens = 0.1, np.ones(3)
    above = np.nextafter(value, 1)
    for order in ([value, value, above], [above, value, value], [value, above, value]):
        values = np.array(order)[:, None]
        assert np.isnan(first_token_share(values, values, tokens).variance).all(), order


def test_the_share_of_a_first_token_with_constant_values() -> None:
    """As published: a constant massive activation with weight 1/T, and equal values of the other tokens."""
    tokens = np.array([10.0, 20.0, 40.0])
    first, rest = np.full((3, 1), 5.0), np.zeros((3, 1))
    share = first_token_share(whole(first, rest, tokens), first, tokens)
    assert share.mean == pytest.approx([1])
    assert share.variance == pytest.approx([1])
    rest[:] = 1.0  # varies by −1/T: five parts up, one part down
    share = first_token_share(whole(first, rest, tokens), first, tokens)
    assert share.variance == pytest.approx([5 / 4])


def test_a_failed_text_is_left_out() -> None:
    all_tokens, first = np.array([[1.0], [np.nan], [3.0]]), np.array([[1.0], [np.nan], [6.0]])
    tokens = np.array([1.0, 0.0, 4.0])
    with_failed = first_token_share(all_tokens, first, tokens)
    kept = [0, 2]
    without = first_token_share(all_tokens[kept], first[kept], tokens[kept])
    np.testing.assert_array_equal(with_failed.mean, without.mean)
    np.testing.assert_array_equal(with_failed.variance, without.variance)
    assert with_failed.mean == pytest.approx([2.5 / 4])


@pytest.mark.parametrize(("texts", "mean"), [(0, np.nan), (1, 0.5)])
def test_too_few_texts(texts: int, mean: float) -> None:
    share = first_token_share(np.full((texts, 2), 1.0), np.full((texts, 2), 4.0), np.full(texts, 8.0))
    np.testing.assert_array_equal(share.mean, [mean, mean])
    assert np.isnan(share.variance).all()


def test_equal_texts_have_no_share_of_the_variance() -> None:
    all_tokens = np.full((3, 1), 0.1)  # the computed mean is not exactly 0.1
    share = first_token_share(all_tokens, all_tokens, np.ones(3))
    assert share.mean == pytest.approx([1])
    assert np.isnan(share.variance).all()
