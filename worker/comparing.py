"""Domains against each other, from the rows of their texts: once, when their job is closed."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ARRAY, Integer, any_, case, func, literal, select
from sqlalchemy.orm import Session

from app.tables import Job, Text, TextProfile
from app.vocabulary import (
    COMPARED,
    COMPARISON_COUNTS,
    COMPARISON_STATISTICS,
    METRICS,
    POOLED_DOMAIN,
    SCOPES,
)
from worker.analysis import (
    Sample,
    adjusted,
    adjusted_paired,
    benjamini_hochberg,
    holm,
    paired,
    welch,
)
from worker.core import Summary

Values = NDArray[np.float64]
Pair = tuple[str, str]

# What is held of a job's texts at a time. A domain that would take more is represented by evenly spaced texts
# wherever their single values are needed; moments count all.
HELD_BYTES = 64 * 2**20
ROWS_AT_A_TIME = 1024


@dataclass(frozen=True)
class Texts:
    """The measured texts of a domain, in ordinal order."""

    ordinals: NDArray[np.int64]
    positions: NDArray[np.int64]  # their places among all texts of the domain
    tokens: Values


def compare_domains(session: Session, job: Job, summaries: Mapping[str, Summary]) -> None:
    """Write the comparisons of every two domains; `summaries` holds theirs and the pooled one."""
    pairs = list(combinations(sorted(summaries.keys() - {POOLED_DOMAIN}), 2))
    if not pairs:
        return
    pooled = summaries[POOLED_DOMAIN].mean
    texts = _texts(session, job, most=HELD_BYTES // (pooled[0, 0].nbytes * (len(summaries) - 1)))
    for c, component in enumerate(job.options["components"]):
        for s, scope in enumerate(SCOPES):
            size = _rounding_sizes(pooled[c, s])
            values = {domain: _values(session, job, texts[domain], (c, s), size.shape) for domain in texts}
            if job.options.get("paired"):
                found = [_compare_paired(a, b, texts, values, size) for a, b in pairs]
            else:
                samples = {domain: _sample(summary, c, s) for domain, summary in summaries.items()}
                found = [_compare(a, b, texts, values, samples, size) for a, b in pairs]
            _write(session, job, (scope, component), pairs, _corrected(found))


def _rounding_sizes(mean: Values) -> Values:
    """(L, M): what a metric's rounding is relative to; two of them are sums that nearly cancel."""
    size = np.abs(mean)
    size[:, METRICS.index("delta_mean")] = size[:, METRICS.index("delta_abs_mean")]
    size[:, METRICS.index("cosine")] = 1.0
    return size


def _sample(summary: Summary, c: int, s: int) -> Sample:
    return Sample(summary.count[c, s], summary.mean[c, s], summary.var[c, s])


def _compare(
    a: str,
    b: str,
    texts: Mapping[str, Texts],
    values: Mapping[str, Values],
    samples: Mapping[str, Sample],
    size: Values,
) -> dict[str, Values]:
    difference = welch(samples[a], samples[b], size)
    at_equal_length = adjusted(values[a], texts[a].tokens, values[b], texts[b].tokens, size)
    return {**difference._asdict(), **at_equal_length._asdict()}


def _compare_paired(
    a: str, b: str, texts: Mapping[str, Texts], values: Mapping[str, Values], size: Values
) -> dict[str, Values]:
    """Of the texts at the same place of both domains, where both could be measured."""
    _, i, j = np.intersect1d(texts[a].positions, texts[b].positions, assume_unique=True, return_indices=True)
    left, right = values[a][i], values[b][j]
    difference = paired(left, right, size)
    at_equal_length = adjusted_paired(left, texts[a].tokens[i], right, texts[b].tokens[j], size)
    return {**difference._asdict(), **at_equal_length._asdict()}


def _corrected(found: Sequence[dict[str, Values]]) -> dict[str, Values]:
    """Each statistic as (P, L, M), with what follows from all tests of a metric together."""
    table = {name: np.stack([of_pair[name] for of_pair in found]) for name in found[0]}
    p_values = [table["p_value"][..., m] for m in range(len(METRICS))]
    table["p_holm"] = np.stack([holm(p) for p in p_values], axis=-1)
    table["q_value"] = np.stack([benjamini_hochberg(p) for p in p_values], axis=-1)
    return table


def _texts(session: Session, job: Job, most: int) -> dict[str, Texts]:
    """Of each domain at most `most` measured texts, evenly spaced where there are more."""
    measured = case((TextProfile.error.is_(None), TextProfile.tokens))
    statement = (
        select(Text.domain, Text.ordinal, func.coalesce(measured, 0).label("tokens"))
        .outerjoin(TextProfile, (TextProfile.job_id == Text.job_id) & (TextProfile.ordinal == Text.ordinal))
        .where(Text.job_id == job.id)
        .order_by(Text.ordinal)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    ordinals: dict[str, array[int]] = {}
    tokens: dict[str, array[int]] = {}
    for row in session.execute(statement):
        ordinals.setdefault(row.domain, array("q")).append(row.ordinal)
        tokens.setdefault(row.domain, array("q")).append(row.tokens)
    return {domain: _spaced(np.array(ordinals[domain]), np.array(tokens[domain]), most) for domain in tokens}


def _spaced(ordinals: NDArray[np.int64], tokens: NDArray[np.int64], most: int) -> Texts:
    """`tokens` are 0 where the text could not be measured."""
    positions = np.arange(len(ordinals))
    step = positions * most // len(ordinals)
    kept = (tokens > 0) & (np.diff(step, prepend=-1) > 0)
    return Texts(ordinals[kept], positions[kept], tokens[kept].astype(np.float64))


def _values(
    session: Session, job: Job, texts: Texts, place: tuple[int, int], shape: tuple[int, int]
) -> Values:
    """(n, L, M): what was measured of the texts in one component and scope, which lies in one piece."""
    length = 8 * shape[0] * shape[1]
    first = (place[0] * len(SCOPES) + place[1]) * length
    statement = (
        select(func.substring(TextProfile.values, first + 1, length))
        .where(
            TextProfile.job_id == job.id,
            TextProfile.ordinal == any_(literal(texts.ordinals.tolist(), ARRAY(Integer))),
        )
        .order_by(TextProfile.ordinal)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    values = np.empty((len(texts.ordinals), *shape))
    for i, piece in enumerate(session.scalars(statement)):
        values[i] = np.frombuffer(piece, "<f8").reshape(shape)
    return values


def _write(
    session: Session, job: Job, place: tuple[str, str], pairs: Sequence[Pair], found: Mapping[str, Values]
) -> None:
    connection = session.connection().connection.driver_connection
    assert connection is not None
    columns = ", ".join(("job_id", *COMPARED, *COMPARISON_COUNTS, *COMPARISON_STATISTICS))
    with connection.cursor().copy(f"copy comparison ({columns}) from stdin") as copy:
        for row in _rows(place, pairs, found):
            copy.write_row((job.id, *row))


def _rows(
    place: tuple[str, str], pairs: Sequence[Pair], found: Mapping[str, Values]
) -> Iterator[tuple[Any, ...]]:
    counts = np.stack([found[name] for name in COMPARISON_COUNTS], -1).astype(np.int64).tolist()
    statistics = np.stack([found[name] for name in COMPARISON_STATISTICS], -1)
    cells = np.where(np.isfinite(statistics), statistics.astype(object), np.array(None)).tolist()
    for p, pair in enumerate(pairs):
        for layer in range(statistics.shape[1]):
            for m, metric in enumerate(METRICS):
                yield metric, *place, layer, *pair, *counts[p][layer][m], *cells[p][layer][m]
