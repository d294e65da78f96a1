"""`layerscope compare`"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.connection import DEFAULT_SERVER, JsonOption, ServerOption, connect
from layerscope.cli.output import print_json, print_line, print_note, print_table
from layerscope.names import MEAN_AND_INTERVAL, POOLED_DOMAIN, Component, Metric, Scope

if TYPE_CHECKING:
    from layerscope.client import Job

DESIGN = ("max_tokens", "window", "special_tokens")  # options that change the meaning of the numbers

Rows = Mapping[str, Mapping[int, Mapping[str, Any]]]  # domain → layer → row of results


@dataclass(frozen=True)
class ComparedNumbers:
    """Which numbers are compared."""

    metric: str
    scope: str
    component: str


def compare(
    job_a: Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")],
    job_b: Annotated[str, typer.Argument(metavar="JOB", help="The id of another job.")],
    metric: Annotated[Metric, typer.Option(help="What is compared.")] = Metric.RELATIVE_NORM,
    scope: Annotated[Scope, typer.Option(help="Which tokens count.")] = Scope.TYPICAL,
    component: Annotated[Component, typer.Option(help="Which part of a layer.")] = Component.BLOCK,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Compare two jobs layer by layer: means with 95 % intervals.

    Domains with the same name are compared with each other; if each job has one domain, these two.
    """
    shown = ComparedNumbers(metric.value, scope.value, component.value)
    with connect(server) as client:
        first, second = client.get(job_a), client.get(job_b)
        _check(first, second)
        rows = list(compared(_selected(first, shown), _selected(second, shown), shown.metric))
    if not rows:
        raise typer.BadParameter(
            f"no domain is in both jobs: {', '.join(first.domains)}; {', '.join(second.domains)}",
            param_hint="JOB",
        )
    if as_json:
        print_json(rows)
        return
    print_table(tuple(rows[0]), [tuple(map(_shown, row.values())) for row in rows])
    print_line("")
    print_line(conclusion(rows))


def _check(first: "Job", second: "Job") -> None:
    """Raises: BadParameter if the layers do not correspond. Notes differences that matter."""
    layers = first.state.model.layers, second.state.model.layers
    if layers[0] != layers[1]:
        raise typer.BadParameter(
            f"{first.state.model.name} has {layers[0]} layers and {second.state.model.name} has {layers[1]}, "
            "so their layers do not correspond to each other.",
            param_hint="JOB",
        )
    for name in DESIGN:
        values = first.state.options.get(name), second.state.options.get(name)
        if values[0] != values[1]:
            print_note(f"The jobs have different options: {name} is {values[0]} and {values[1]}.")


def _selected(job: "Job", shown: ComparedNumbers) -> Rows:
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in job.results():
        if row["domain"] != POOLED_DOMAIN and (row["scope"], row["component"]) == (
            shown.scope,
            shown.component,
        ):
            found.setdefault(row["domain"], {})[row["layer"]] = row
    return found


def compared(first: Rows, second: Rows, metric: str) -> Iterator[dict[str, Any]]:
    """A row for each domain and layer that both jobs have."""
    same = [(domain, domain) for domain in first if domain in second]
    pairs = same or (list(zip(first, second, strict=True)) if len(first) == len(second) == 1 else [])
    for domain_a, domain_b in pairs:
        for layer in sorted(first[domain_a].keys() & second[domain_b].keys()):
            a, b = first[domain_a][layer], second[domain_b][layer]
            yield {
                "domain": domain_a if domain_a == domain_b else f"{domain_a} / {domain_b}",
                "layer": layer,
                "texts_a": a["texts"],
                "texts_b": b["texts"],
                **{f"a{end}": a[metric + end] for end in MEAN_AND_INTERVAL},
                **{f"b{end}": b[metric + end] for end in MEAN_AND_INTERVAL},
                "difference": None if a[metric] is None or b[metric] is None else a[metric] - b[metric],
                "intervals": _intervals(a, b, metric),
            }


def _intervals(a: Mapping[str, Any], b: Mapping[str, Any], metric: str) -> str | None:
    low, high = f"{metric}_ci_low", f"{metric}_ci_high"
    if None in (a[low], a[high], b[low], b[high]):
        return None
    return "apart" if a[low] > b[high] or b[low] > a[high] else "overlap"


def conclusion(rows: list[dict[str, Any]]) -> str:
    known = [row for row in rows if row["intervals"]]
    if not known:
        return "There are no intervals: each domain needs at least two texts."
    apart = [row for row in known if row["intervals"] == "apart"]
    sentence = f"In {len(apart)} of {len(known)} rows the 95 % intervals are apart."
    if not apart:
        return sentence
    largest = max(apart, key=lambda row: abs(row["difference"]))
    place = f"{largest['domain']}, layer {largest['layer']}"
    return f"{sentence} The largest such difference is {largest['difference']:.3g} ({place})."


def _shown(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
