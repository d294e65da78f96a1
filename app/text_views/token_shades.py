"""The tokens of a text, each with a shade for what one layer wrote."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind, shown
from app.files.tokens import TokensPart, first_tokens
from app.tables import Job
from app.text_views.readable_tokens import readable
from app.text_views.submitted_text import OneText
from layerscope.names import TOKEN_METRICS, Analysis, Component

TOKENS_SHOWN = 400
SHADES = 9  # 0 is the lightest


class TokenMetric(StrEnum):
    """What the shades show. `settles`: the layer from which on the prediction is the final one."""

    RELATIVE_NORM = "relative_norm"
    DELTA_RMS = "delta_rms"
    COSINE = "cosine"
    RESIDUAL_RMS = "residual_rms"
    SETTLES = "settles"


@dataclass(frozen=True)
class ShadedToken:
    """`shade` None: no value. `about`: all that is known, in one line."""

    string: str
    shade: int | None
    is_massive: bool
    about: str


@dataclass(frozen=True)
class ShadedTokens:
    """`ends`: the values of the lightest and the darkest shade; None if no token has a value."""

    tokens: list[ShadedToken]
    total: int
    ends: tuple[str, str] | None
    map: Chart | None  # none if all layers have the same numbers, or none has a number


def shaded_tokens(
    session: Session, job: Job, whole: OneText, metric: TokenMetric, component: Component, layer: int
) -> ShadedTokens | None:
    """The first TOKENS_SHOWN tokens. None if the tokens of this text were not stored."""
    if Analysis.TOKENS not in job.analyses or whole.profile is None:
        return None
    text = first_tokens(session, job, whole.ordinal, TOKENS_SHOWN)
    if text is None:
        return None
    strings = readable(text.strings)
    numbers, name = _numbers(text, job, metric, component)
    of_layer = numbers[:, min(layer, numbers.shape[1] - 1)]
    known = of_layer[np.isfinite(of_layer)]
    low, high = (float(known.min()), float(np.quantile(known, 0.98))) if known.size else (0.0, 1.0)
    return ShadedTokens(
        [
            ShadedToken(string, _shade(value, low, high), massive, _about(position, string, value, name))
            for position, (string, value, massive) in enumerate(
                zip(strings, of_layer.tolist(), text.massive, strict=True)
            )
        ],
        whole.profile.tokens,
        (shown(low), shown(high)) if known.size else None,
        None if metric is TokenMetric.SETTLES else _map(strings, numbers, name),
    )


def _numbers(
    text: TokensPart, job: Job, metric: TokenMetric, component: Component
) -> tuple[NDArray[np.float64], str]:
    """(t, L), and what they are. The layer at which a prediction settles is the same in every column."""
    if metric is TokenMetric.SETTLES:
        if text.top1 is None:
            return np.full((len(text.ids), text.values.shape[2]), np.nan), "no logit lens"
        settled = np.array([_settles(top) for top in text.top1], dtype=float)
        return np.repeat(settled[:, None], text.values.shape[2], axis=1), "the prediction settles at layer"
    place = list(job.options["components"]).index(component)
    return text.values[:, place, :, TOKEN_METRICS.index(metric)].astype(float), f"{metric} of {component}"


def _settles(predictions: list[str]) -> int:
    """The first layer from which on the most probable token is the final one."""
    layer = len(predictions) - 1
    while layer > 0 and predictions[layer - 1] == predictions[-1]:
        layer -= 1
    return layer


def _shade(value: float, low: float, high: float) -> int | None:
    if not np.isfinite(value):
        return None
    share = (value - low) / (high - low) if high > low else 0.0
    return int(np.clip(share * SHADES, 0, SHADES - 1))


def _about(position: int, string: str, value: float, name: str) -> str:
    number = shown(value) if np.isfinite(value) else "no value"
    return f"Token {position}, {string}: {name} {number}"


def _map(strings: list[str], numbers: NDArray[np.float64], name: str) -> Chart | None:
    """Tokens × layers: a row for each layer. None without a value."""
    chart = Chart(
        "tokens",
        "Layers and tokens",
        f"{name}, as a colour.",
        Kind.MAP,
        "",
        tuple(range(len(strings))),
        tuple(
            ChartSeries(
                f"layer {layer}", "1", tuple(value if np.isfinite(value) else None for value in column)
            )
            for layer, column in enumerate(numbers.T.tolist())
        ),
        "tokens.csv",
        has_table=False,
        tokens=tuple(strings),
    )
    return chart if chart.has_values else None
