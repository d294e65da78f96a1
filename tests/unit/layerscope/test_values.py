"""The codec of stored values: every reader finds the numbers that were written."""

import struct

import numpy as np
import pytest

from layerscope import values
from layerscope.arrays import Array
from layerscope.names import (
    ANALYSES,
    ANALYSIS_METRICS,
    COMPONENTS,
    METRICS,
    SCOPES,
    TOKEN_METRICS,
    TOP_ACTIVATIONS,
)

LAYERS = 5


def a_text(components: int = len(COMPONENTS)) -> Array:
    """(C, S, L, M) float64, all values different, some of them missing."""
    shape = components, len(SCOPES), LAYERS, len(METRICS)
    numbers = np.random.default_rng(3).normal(size=shape)
    numbers[:, 1, 2] = np.nan
    return numbers


def an_analysis() -> values.AnalysisParts:
    """The parts of one text, each (L, K)."""
    numbers = np.random.default_rng(4).normal(size=(LAYERS, values.ANALYSIS_NUMBERS))
    ends = np.cumsum([len(ANALYSIS_METRICS), *[TOP_ACTIVATIONS] * 3])
    return values.AnalysisParts(*np.split(numbers, ends, axis=1))


@pytest.mark.parametrize("components", [1, 2, 3])
def test_decoding_returns_what_was_encoded(components: int) -> None:
    text = a_text(components)
    decoded = values.decode(values.encode(text), components, len(SCOPES))
    np.testing.assert_array_equal(decoded, text)
    assert decoded.dtype == np.float64


def test_values_of_three_scopes_are_decoded_too() -> None:
    """Jobs of earlier versions have no scope `typical`."""
    text = a_text()[:, :3]
    np.testing.assert_array_equal(values.decode(values.encode(text), len(COMPONENTS), 3), text)
    keys = values.row_keys(SCOPES[:3], COMPONENTS, LAYERS)
    assert len(keys) == len(values.rows(text, None, ()))


def test_square_norms() -> None:
    norms = np.random.default_rng(5).normal(size=(2, LAYERS))
    stored = values.encode_square_norms(norms)
    assert stored == struct.pack(f"<{norms.size}d", *norms.flat)
    np.testing.assert_array_equal(values.decode_square_norms(stored), norms)


def test_the_bytes_are_little_endian_float64_in_the_order_of_the_array() -> None:
    text = a_text()
    assert values.encode(text) == struct.pack(f"<{text.size}d", *text.flat)
    assert values.encode(text.astype(">f8")) == values.encode(text)
    assert values.encode(np.asfortranarray(text)) == values.encode(text)


def test_decoded_values_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        values.decode(values.encode(a_text()), len(COMPONENTS), len(SCOPES))[0] = 0.0


@pytest.mark.parametrize("chosen", [COMPONENTS, ("attention",), ("block", "mlp")])
def test_rows_are_in_the_order_scope_component_layer(chosen: tuple[str, ...]) -> None:
    text = a_text(len(chosen))
    rows, keys = values.rows(text, None, ()), values.row_keys(SCOPES, chosen, LAYERS)
    np.testing.assert_array_equal(rows, text.transpose(1, 0, 2, 3).reshape(-1, len(METRICS)))
    assert len(keys) == len(rows) == len(set(keys))
    for (scope, component, layer), row in zip(keys, rows, strict=True):
        np.testing.assert_array_equal(row, text[chosen.index(component), SCOPES.index(scope), layer])


def test_rows_have_no_infinite_values() -> None:
    text = a_text()
    text[0, 0, 0, :2] = np.inf, -np.inf
    assert np.isnan(values.rows(text, None, ())[0, :2]).all()
    assert not np.isinf(values.rows(text, None, ())).any()


@pytest.mark.parametrize(
    ("analyses", "metrics"),
    [
        (ANALYSES, ANALYSIS_METRICS),
        (("logit_lens",), ("lens_entropy", "lens_kl", "lens_agreement")),
        (("activations",), ()),
    ],
)
def test_the_first_rows_have_the_metrics_of_the_analyses(
    analyses: tuple[str, ...], metrics: tuple[str, ...]
) -> None:
    """They belong to scope `all` and component `block`, which come first."""
    parts = an_analysis()
    rows = values.rows(a_text(), values.encode_analysis(*parts), analyses)
    assert values.row_keys(SCOPES, COMPONENTS, LAYERS)[:LAYERS] == [
        ("all", "block", layer) for layer in range(LAYERS)
    ]
    added = rows[:, len(METRICS) :]
    assert added.shape[1] == len(metrics)
    expected = parts.metrics[:, [ANALYSIS_METRICS.index(metric) for metric in metrics]]
    np.testing.assert_array_equal(added[:LAYERS], expected)
    assert np.isnan(added[LAYERS:]).all()


def test_rows_of_a_text_without_analysis_have_no_values_there() -> None:
    rows = values.rows(a_text(), None, ANALYSES)
    assert np.isnan(rows[:, len(METRICS) :]).all()
    assert rows.shape[1] == len(METRICS) + len(ANALYSIS_METRICS)


def test_an_analysis_is_split_into_the_parts_that_were_encoded() -> None:
    parts = an_analysis()
    decoded = values.decode_analysis(values.encode_analysis(*parts))
    assert decoded.shape == (LAYERS, values.ANALYSIS_NUMBERS)
    assert [part.shape[1] for part in parts] == [len(ANALYSIS_METRICS), *[TOP_ACTIVATIONS] * 3, 1]
    for found, expected in zip(values.split_analysis(decoded), parts, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_many_texts_are_split_at_once() -> None:
    parts = an_analysis()
    decoded = values.decode_analysis(values.encode_analysis(*parts))
    for found, expected in zip(values.split_analysis(np.stack([decoded] * 3)), parts, strict=True):
        np.testing.assert_array_equal(found, np.stack([expected] * 3))


def test_metrics_are_selected_by_name_in_the_given_order() -> None:
    parts = an_analysis()
    decoded = values.decode_analysis(values.encode_analysis(*parts))
    np.testing.assert_array_equal(
        values.select_metrics(decoded, ("lens_kl", "ablation_nll")), parts.metrics[:, [3, 0]]
    )


def test_the_analysis_of_integers_is_stored_as_float64() -> None:
    metrics, units, of_units, tokens, ratio = an_analysis()
    stored = values.encode_analysis(metrics, (units * 100).astype(int), of_units, tokens.astype(int), ratio)
    assert len(stored) == 8 * LAYERS * values.ANALYSIS_NUMBERS
    np.testing.assert_array_equal(
        values.split_analysis(values.decode_analysis(stored)).units, (units * 100).astype(int)
    )


@pytest.mark.parametrize("with_lens", [True, False])
def test_the_numbers_of_tokens_are_those_that_were_encoded(with_lens: bool) -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(5, 2, LAYERS, len(TOKEN_METRICS))).astype(np.float32)
    numbers[0, 0, 0, 2] = np.nan
    predictions = random.integers(0, 10**6, (5, LAYERS, 2)).astype(np.float32) if with_lens else None
    stored = values.encode_tokens(numbers, predictions)
    assert len(stored) == 4 * LAYERS * 5 * (2 * len(TOKEN_METRICS) + 2 * with_lens)
    found = values.decode_tokens(stored, 5, 2, with_lens)
    np.testing.assert_array_equal(found.values, numbers)
    if predictions is None:
        assert found.predictions is None
    else:
        np.testing.assert_array_equal(found.predictions, predictions)
