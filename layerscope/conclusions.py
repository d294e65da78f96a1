"""States what the numbers of a job say. Each sentence appears only if the numbers support it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from layerscope.names import LARGEST_Q, POOLED_DOMAIN, AnalysisMetric, Component, Metric, Scope

METRIC = Metric.RELATIVE_NORM.value
COST = AnalysisMetric.ABLATION_NLL.value
TOP_LAYERS = 3
SHOWN_PAIRS = 3
SHOWN_DOMAINS = 4
FEW_TEXTS = 8  # below, the intervals assume normal values: docs/metrics.md

# A massive activation is larger than 100 and about 1,000 times the median: Sun et al. 2024, section 2.
MASSIVE_VALUE, MASSIVE_RATIO = 100, 1000

NumberRow = Mapping[str, Any]  # of a file; a missing value is None


class Conclusion(NamedTuple):
    """A sentence, and the name of the chart that shows its numbers."""

    text: str
    chart: str


def conclusions(
    results: Iterable[NumberRow],
    comparisons: Iterable[NumberRow],
    first_tokens: Iterable[NumberRow] = (),
    massive: Iterable[NumberRow] = (),
) -> list[Conclusion]:
    """Sentences about the rows of results.csv, comparison.csv, first_token.csv and massive_tokens.csv.

    They concern METRIC of whole layers in scope `typical`, the cost of skipping a layer, and massive tokens.
    """
    rows = [row for row in results if row["component"] == Component.BLOCK]
    typical = _by_domain(row for row in rows if row["scope"] == Scope.TYPICAL and row[METRIC] is not None)
    pooled = typical.pop(POOLED_DOMAIN, [])
    skipped = [
        row
        for row in rows
        if row["domain"] == POOLED_DOMAIN and row["scope"] == Scope.ALL and row.get(COST) is not None
    ]
    compared = [row for row in comparisons if _is_compared(row)]
    found = {
        "profile": _largest(typical),
        "effect": _differences(compared),
        "ablation": _costs(skipped, pooled),
        "massive": [*_massive_activation(first_tokens), *_massive_tokens(massive)],
        "domains": _few_texts(typical, rows),
    }
    return [Conclusion(text, chart) for chart, sentences in found.items() for text in sentences]


def more(count: int, what: str) -> str:
    """ "1 more pair", "2 more pairs"."""
    return f"{count} more {what}{'s' if count > 1 else ''}"


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
        yield f"results.csv has the same numbers of {more(len(tops) - SHOWN_DOMAINS, 'domain')}."


def _top(rows: Sequence[NumberRow]) -> list[NumberRow]:
    return sorted(rows, key=lambda row: -row[METRIC])[:TOP_LAYERS]


def _value(row: NumberRow, name: str) -> str:
    """A mean with its interval, if it has one: "0.93 [0.9, 0.96]"."""
    low, high = row.get(f"{name}_ci_low"), row.get(f"{name}_ci_high")
    return f"{row[name]:.3g}" if low is None or high is None else f"{row[name]:.3g} [{low:.3g}, {high:.3g}]"


# How domains differ


def _differences(rows: Sequence[NumberRow]) -> Iterator[str]:
    pairs: dict[tuple[str, str], list[NumberRow]] = {}
    for row in rows:
        pairs.setdefault((row["domain_a"], row["domain_b"]), []).append(row)
    different = {pair: [row for row in found if row["q_value"] < LARGEST_Q] for pair, found in pairs.items()}
    if pairs and not any(different.values()):
        yield f"No layer differs between any two domains (q < {LARGEST_Q})."
        return
    shown = sorted(different, key=lambda pair: -len(different[pair]))[:SHOWN_PAIRS]
    for pair in shown:
        yield _difference(pair, different[pair], len(pairs[pair]))
    if len(pairs) > len(shown):
        yield f"comparison.csv has {more(len(pairs) - len(shown), 'pair')} of domains."


def _difference(pair: tuple[str, str], different: Sequence[NumberRow], layers: int) -> str:
    a, b = pair
    if not different:
        return f"{a} and {b} differ at none of {layers} layers (q < {LARGEST_Q})."
    sentence = f"{a} and {b} differ at {len(different)} of {layers} layers (q < {LARGEST_Q})"
    sized = [row for row in different if row["hedges_g"] is not None]
    if not sized:
        return f"{sentence}."
    row = max(sized, key=lambda row: abs(row["hedges_g"]))
    interval = "" if row["g_ci_low"] is None else f" [{row['g_ci_low']:.3g}, {row['g_ci_high']:.3g}]"
    larger = a if row["hedges_g"] > 0 else b
    return (
        f"{sentence}, most at layer {row['layer']}, where {larger} has the larger value: Hedges' g = "
        f"{row['hedges_g']:.3g}{interval} (n = {row['texts_a']} and {row['texts_b']})."
    )


# What the model loses without a layer


def _costs(skipped: Sequence[NumberRow], pooled: Sequence[NumberRow]) -> Iterator[str]:
    if not skipped:
        return
    first, *others = sorted(skipped, key=lambda row: -row[COST])[:TOP_LAYERS]
    written = {row["layer"]: row[METRIC] for row in pooled}
    typical_cost = median(row[COST] for row in skipped)
    little = ", although it writes less than half of the layers do" if _is_small(first, written) else ""
    yield (
        f"Layer {first['layer']} costs most to skip: {_value(first, COST)} nats per token "
        f"(n = {first['analysis_texts']}){little}."
    )
    for row in others:
        if _is_small(row, written) and (row.get(f"{COST}_ci_low") or 0) > typical_cost:
            yield (
                f"Layer {row['layer']} writes less than half of the layers do, but costs {_value(row, COST)} "
                f"nats per token to skip (n = {row['analysis_texts']})."
            )


def _is_small(row: NumberRow, written: Mapping[int, float]) -> bool:
    """Whether a layer writes less than half of the layers do."""
    own = written.get(row["layer"])
    return own is not None and sum(value > own for value in written.values()) >= len(written) / 2


# Massive tokens


def _massive_activation(first_tokens: Iterable[NumberRow]) -> Iterator[str]:
    """The layer after which the residual has a massive activation for the first time."""
    layers = [
        row
        for row in first_tokens
        if row["domain"] == POOLED_DOMAIN
        and row["component"] == Component.BLOCK
        and row.get("value_1") is not None
    ]
    for before, row in pairwise(layers):
        if not _has_massive_activation(before) and _has_massive_activation(row):
            yield (
                f"Layer {row['layer']} writes the first massive activation: it raises the largest activation "
                f"from {abs(before['value_1']):,.0f} to {abs(row['value_1']):,.0f}, which is "
                f"{row['ratio_1']:,.0f} times the median (unit {row['unit_1']:.0f} of token "
                f"{row['token_1']:.0f}; n = {row['analysis_texts']:.0f})."
            )
            return


def _has_massive_activation(row: NumberRow) -> bool:
    return bool(abs(row["value_1"]) > MASSIVE_VALUE and row["ratio_1"] > MASSIVE_RATIO)


def _massive_tokens(massive: Iterable[NumberRow]) -> Iterator[str]:
    for row in massive:
        if row["domain"] == POOLED_DOMAIN and row["layer"] == 0 and row["massive"]:
            count, first = row["massive"], row["massive_first"]
            yield (
                f"{count:,} of {row['tokens']:,} tokens {'is' if count == 1 else 'are'} massive "
                f"({100 * row['massive_share']:.2f} %); {first:,} of the {row['texts']:,} texts "
                f"{'starts' if first == 1 else 'start'} with one. Scope typical leaves them out."
            )


def _few_texts(typical: Mapping[str, Sequence[NumberRow]], rows: Iterable[NumberRow]) -> Iterator[str]:
    """A domain without a typical token counts with all its texts."""
    if not typical:
        return
    of_all = _by_domain(row for row in rows if row["scope"] == Scope.ALL and row["domain"] != POOLED_DOMAIN)
    texts = {domain: found[0]["texts"] for domain, found in {**of_all, **typical}.items()}
    few = [f"{domain} ({count})" for domain, count in texts.items() if 0 < count < FEW_TEXTS]
    if few:
        names = _listed(few)
        yield (
            f"Interpret with care: fewer than {FEW_TEXTS} texts in {names}. Their intervals assume normal "
            "values."
        )


def _layers(rows: Sequence[NumberRow]) -> str:
    return _listed([str(row["layer"]) for row in rows])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
