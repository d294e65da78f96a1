"""What the tables of the run show, in a few sentences."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from layerscope.names import POOLED_DOMAIN, AnalysisMetric, Metric, Scope

SHOWN = 4  # layers, and strings of massive tokens

Row = dict[str, str]
ByLayer = dict[int, float]


def findings(out: Path) -> Iterator[str]:
    """Sentences about all texts together. `out`: the folder of the tables."""
    results = _pooled(out / "results.csv", lambda row: row["component"] == "block")
    typical, first = (
        _by_layer([row for row in results if row["scope"] == scope], Metric.RELATIVE_NORM)
        for scope in (Scope.TYPICAL, Scope.FIRST)
    )
    yield _largest("On typical tokens, the layers that write most relative to the residual are", typical)
    yield _largest("On the first token they are", first)
    yield massive_tokens(out)
    yield _massive_activation(out, max(first, key=lambda layer: first[layer]))
    costs = _by_layer([row for row in results if row["scope"] == Scope.ALL], AnalysisMetric.ABLATION_NLL)
    yield (
        _largest("Skipping one layer costs most nats per token for the layers", costs)
        + f" The median over all layers is {median(costs.values()):.2g}."
    )


def massive_tokens(out: Path) -> str:
    row = _pooled(out / "massive_tokens.csv", lambda row: row["layer"] == "0")[0]
    strings = json.loads((out / "massive_tokens.json").read_text("utf-8"))["tokens"][POOLED_DOMAIN]
    shown = ", ".join(f"{string['token']!r} ({string['massive']})" for string in strings[:SHOWN])
    return (
        f"{row['massive']} of {int(row['tokens']):,} tokens are massive; {row['massive_first']} of them are "
        f"the first tokens of the {row['texts']} texts. The strings that are massive most often: {shown}."
    )


def _massive_activation(out: Path, layer: int) -> str:
    """The largest activation before and after the layer that writes most on the first token."""
    rows = _pooled(out / "first_token.csv", lambda row: row["component"] == "block")
    before, after = (_largest_activation(row) for row in rows[layer - 1 : layer + 1])
    return (
        f"Layer {layer} raises the largest activation of all analysed texts from {before} to {after}, "
        f"which is {float(rows[layer]['ratio_1']):,.0f} times the median."
    )


def _largest_activation(row: Row) -> str:
    return f"{float(row['value_1']):,.0f} (unit {row['unit_1']} of token {row['token_1']})"


def _pooled(file: Path, is_wanted: Callable[[Row], bool]) -> list[Row]:
    """The wanted rows of all texts together, in the order of the file."""
    with file.open(encoding="utf-8", newline="") as content:
        rows = csv.DictReader(content)
        return [row for row in rows if row["domain"] == POOLED_DOMAIN and is_wanted(row)]


def _by_layer(rows: list[Row], metric: str) -> ByLayer:
    return {int(row["layer"]): float(row[metric]) for row in rows}


def _largest(text: str, values: ByLayer) -> str:
    layers = sorted(values, key=lambda layer: -values[layer])[:SHOWN]
    return f"{text} {', '.join(f'{layer} ({values[layer]:.3g})' for layer in layers)}."
