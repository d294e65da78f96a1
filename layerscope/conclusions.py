"""States what the numbers of a job say. Each sentence appears only if the numbers support it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from layerscope.names import POOLED_DOMAIN, AnalysisMetric, Component, Metric, Scope

METRIC = Metric.RELATIVE_NORM.value
COST = AnalysisMetric.ABLATION_NLL.value
TOP_LAYERS = 3
SHOWN_PAIRS = 3
SHOWN_DOMAINS = 4
FEW_TEXTS = 8  # below, the intervals assume normal values: docs/metrics.md
SIGNIFICANT = 0.05  # a q-value below: the expected share of false findings

NumberRow = Mapping[str, Any]  # of a file; a missing value is None


def conclusions(results: Iterable[NumberRow], comparisons: Iterable[NumberRow]) -> list[str]:
    """Sentences about the rows of results.csv and comparison.csv.

    They concern METRIC of whole layers in scope `typical`, and the cost of skipping a layer.
    """
    rows = [row for row in results if row["component"] == Component.BLOCK]
    typical = _by_domain(row for row in rows if row["scope"] == Scope.TYPICAL and row[METRIC] is not None)
    pooled = typical.pop(POOLED_DOMAIN, [])
    skipped = [
        row
        for row in rows
        if row["domain"] == POOLED_DOMAIN and row["scope"] == Scope.ALL and row.get(COST) is not None
    ]
    return [
        *_largest(typical),
        *_differences([row for row in comparisons if _is_compared(row)]),
        *_costs(skipped, pooled),
        *_few_texts(typical),
    ]


def _by_domain(rows: Iterable[NumberRow]) -> dict[str, list[NumberRow]]:
    found: dict[str, list[NumberRow]] = {}
    for row in rows:
        found.setdefault(row["domain"], []).append(row)
    return found


def _is_compared(row: NumberRow) -> bool:
    place = (row["metric"], row["scope"], row["component"])
    return place == (METRIC, Scope.TYPICAL, Component.BLOCK) and row["q_value"] is not None


# What layers write


def _largest(domains: Mapping[str, Sequence[NumberRow]]) -> Iterator[str]:
    tops = {domain: _top(rows) for domain, rows in domains.items() if len(rows) > TOP_LAYERS}
    if not tops:
        return
    sets = {frozenset(row["layer"] for row in top) for top in tops.values()}
    if len(tops) == 1 or len(sets) == 1:
        first = next(iter(tops.values()))
        where = "in every domain" if len(tops) > 1 else f"in {next(iter(tops))}"
        yield f"Layers {_layers(first)} write most {where}, relative to the residual."
    for domain, top in list(tops.items())[:SHOWN_DOMAINS]:
        row = top[0]
        other = "" if len(sets) == 1 else f"; layers {_layers(top[1:])} follow"
        yield (
            f"In {domain}, layer {row['layer']} writes {_value(row, METRIC)} times the norm of the residual "
            f"that enters it (n = {row['texts']}){other}."
        )
    if len(tops) > SHOWN_DOMAINS:
        yield f"results.csv has the same numbers of {len(tops) - SHOWN_DOMAINS} more domains."


def _top(rows: Sequence[NumberRow]) -> list[NumberRow]:
    return sorted(rows, key=lambda row: -row[METRIC])[:TOP_LAYERS]


def _value(row: NumberRow, name: str) -> str:
    """A mean with its interval, if it has one: "0.93 [0.9, 0.96]"."""
    low, high = row.get(f"{name}_ci_low"), row.get(f"{name}_ci_high")
    return f"{row[name]:.2g}" if low is None or high is None else f"{row[name]:.2g} [{low:.2g}, {high:.2g}]"


# How domains differ


def _differences(rows: Sequence[NumberRow]) -> Iterator[str]:
    pairs: dict[tuple[str, str], list[NumberRow]] = {}
    for row in rows:
        pairs.setdefault((row["domain_a"], row["domain_b"]), []).append(row)
    different = {
        pair: [row for row in found if row["q_value"] < SIGNIFICANT] for pair, found in pairs.items()
    }
    if pairs and not any(different.values()):
        yield f"No layer differs between any two domains (q < {SIGNIFICANT})."
        return
    shown = sorted(different, key=lambda pair: -len(different[pair]))[:SHOWN_PAIRS]
    for pair in shown:
        yield _difference(pair, different[pair], len(pairs[pair]))
    if len(pairs) > len(shown):
        yield f"comparison.csv has {len(pairs) - len(shown)} more pairs of domains."


def _difference(pair: tuple[str, str], different: Sequence[NumberRow], layers: int) -> str:
    a, b = pair
    if not different:
        return f"{a} and {b} differ at none of {layers} layers (q < {SIGNIFICANT})."
    sentence = f"{a} and {b} differ at {len(different)} of {layers} layers (q < {SIGNIFICANT})"
    sized = [row for row in different if row["hedges_g"] is not None]
    if not sized:
        return f"{sentence}."
    row = max(sized, key=lambda row: abs(row["hedges_g"]))
    interval = "" if row["g_ci_low"] is None else f" [{row['g_ci_low']:.2g}, {row['g_ci_high']:.2g}]"
    larger = a if row["hedges_g"] > 0 else b
    return (
        f"{sentence}, most at layer {row['layer']}, where {larger} has the larger value: Hedges' g = "
        f"{row['hedges_g']:.2g}{interval} (n = {row['texts_a']} and {row['texts_b']})."
    )


# What the model loses without a layer


def _costs(skipped: Sequence[NumberRow], pooled: Sequence[NumberRow]) -> Iterator[str]:
    if not skipped:
        return
    row = max(skipped, key=lambda row: row[COST])
    written = {row["layer"]: row[METRIC] for row in pooled}
    own = written.get(row["layer"])
    writes_little = own is not None and sum(value > own for value in written.values()) >= len(written) / 2
    little = ", although it writes less than half of the layers do" if writes_little else ""
    yield (
        f"Layer {row['layer']} costs most to skip: {_value(row, COST)} nats per token "
        f"(n = {row['analysis_texts']}){little}."
    )


def _few_texts(domains: Mapping[str, Sequence[NumberRow]]) -> Iterator[str]:
    few = {domain: rows[0]["texts"] for domain, rows in domains.items() if rows[0]["texts"] < FEW_TEXTS}
    if few:
        names = _listed([f"{domain} ({texts})" for domain, texts in few.items()])
        yield f"Interpret with care: fewer than {FEW_TEXTS} texts in {names}."


def _layers(rows: Sequence[NumberRow]) -> str:
    return _listed([str(row["layer"]) for row in rows])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
