import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from layerscope.core.contribution import text_metrics, token_sums
from layerscope.names import METRICS

Array = NDArray[np.float32]

# Not near 0, where squares in float32 vanish; both signs, six orders of magnitude.
NUMBERS = st.floats(2**-10, 2**10, width=32).flatmap(lambda size: st.sampled_from([size, -size]))
PAIRS = st.tuples(st.integers(1, 6), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.float32, shape, elements=NUMBERS)] * 2)
)


def measure(h: Array, delta: Array) -> dict[str, NDArray[np.float64]]:
    """Metric → (S,); no token is massive."""
    sums = token_sums(torch.from_numpy(h), torch.from_numpy(delta))
    values = text_metrics(sums[None, None], h.shape[1])[0, :, 0].numpy()
    return {metric: values[:, i] for i, metric in enumerate(METRICS)}


@given(PAIRS)
def test_bounds(pair: tuple[Array, Array]) -> None:
    found = measure(*pair)
    for metric, low, high in [
        ("delta_abs_mean", 0, np.inf),
        ("relative_norm", 0, np.inf),
        ("cosine", -1, 1),
        ("block_influence", 0, 2),
        ("residual_rms", 0, np.inf),
    ]:
        values = found[metric][~np.isnan(found[metric])]
        assert ((low <= values) & (values <= high)).all(), metric
    known = ~np.isnan(found["delta_mean"])
    slack = 1 + 1e-6
    assert (np.abs(found["delta_mean"])[known] <= found["delta_abs_mean"][known] * slack).all()
    assert (found["delta_abs_mean"][known] <= found["delta_rms"][known] * slack).all()


@given(PAIRS)
def test_sums_agree_with_float64(pair: tuple[Array, Array]) -> None:
    h, delta = (part.astype(np.float64) for part in pair)
    sums = token_sums(*map(torch.from_numpy, pair)).numpy()
    terms = [delta, np.abs(delta), delta**2, h**2, h * delta, (h + delta) ** 2]
    for got, term in zip(sums[:6], terms, strict=True):
        np.testing.assert_allclose(
            got, term.sum(-1), atol=1e-6 * np.abs(term).sum(-1).max() + 1e-6 * (h**2).max()
        )


@given(PAIRS, st.sampled_from([2.0**-6, 2.0**5]))
def test_scaling_both_changes_only_what_has_a_unit(pair: tuple[Array, Array], scale: float) -> None:
    h, delta = pair
    before, after = measure(h, delta), measure(h * np.float32(scale), delta * np.float32(scale))
    for metric in METRICS:
        factor = 1.0 if metric in ("relative_norm", "cosine", "block_influence") else scale
        np.testing.assert_allclose(after[metric], before[metric] * factor, rtol=1e-6, atol=1e-7 * factor)


@given(PAIRS)
def test_the_first_token_and_the_rest_add_up_to_all(pair: tuple[Array, Array]) -> None:
    tokens = len(pair[0])
    for metric, (all_tokens, rest, first, _) in measure(*pair).items():
        if metric in ("delta_rms", "residual_rms"):
            all_tokens, rest, first = all_tokens**2, rest**2, first**2
        joined = first if tokens == 1 else (first + (tokens - 1) * rest) / tokens
        np.testing.assert_allclose(joined, all_tokens, rtol=1e-9, atol=1e-12, err_msg=metric)


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_later_tokens_does_not_matter(pair: tuple[Array, Array], random: object) -> None:
    h, delta = pair
    order = [0, *np.random.default_rng(0).permutation(np.arange(1, len(h)))]
    turned = measure(h[order], delta[order])
    for metric, values in measure(h, delta).items():
        np.testing.assert_allclose(turned[metric], values, rtol=1e-9, atol=1e-12, err_msg=metric)


@settings(max_examples=50)
@given(PAIRS, st.sampled_from([1e-1, 1e-3, 1e-4]))
def test_block_influence_of_small_steps(pair: tuple[Array, Array], size: float) -> None:
    h, delta = pair[0], (pair[1] * np.float32(size)).astype(np.float32)
    wide_h, wide_delta = h.astype(np.float128), delta.astype(np.float128)
    sizes, steps, after = (np.sqrt((x * x).sum(-1)) for x in (wide_h, wide_delta, wide_h + wide_delta))
    exact = 1 - (wide_h * (wide_h + wide_delta)).sum(-1) / sizes / after
    # If δ is parallel to h to seven digits, 1 − cos contains only the rounding of h and δ themselves.
    parallel = 1e-12 * steps**2 / after**2 + 1e-18  # and the rounding of 1 − cos in long double
    got = measure(h, delta)["block_influence"][0]
    assert abs(got - exact.mean()) <= 1e-5 * exact.mean() + parallel.mean()


@pytest.mark.parametrize("metric", METRICS)
def test_signs(metric: str) -> None:
    """Growing and shrinking the residual differ only in sign, and only in metrics that have a sign."""
    h = np.ones((2, 3), dtype=np.float32)
    half = h * np.float32(0.5)
    grown, shrunk = measure(h, half)[metric], measure(h, -half)[metric]
    if metric in ("delta_mean", "cosine"):
        np.testing.assert_allclose(grown, -shrunk, atol=1e-7)
    else:
        np.testing.assert_allclose(grown, shrunk, atol=1e-7)
