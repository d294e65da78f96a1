"""Shows a job in a notebook: a table of its domains and a chart of its layers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from layerscope.client.progress_display import in_words
from layerscope.client.states import JobState
from layerscope.names import POOLED_DOMAIN, Component, Metric, Scope

METRIC = Metric.RELATIVE_NORM.value
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 230, 44, 30, 24
LEGEND, CHARACTER = 40, 7  # the width of a legend without its names, and at most that of a character
# Okabe and Ito's colours, which people with colour blindness can tell apart; after eight they are dashed.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#b8a800")

Lines = Mapping[str, Mapping[int, float]]  # domain → layer → value


def job_html(state: JobState, url: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """HTML without scripts. Everything that comes from the service is escaped."""
    lines = lines_of(rows, state.domains)
    name = f" “{escape(state.name)}”" if state.name else ""
    model = f"{escape(state.model.name)}" + (f", {state.model.layers} layers" if state.model.layers else "")
    heading = f'<a href="{escape(url)}">Job {escape(state.id)}</a>{name}, model {model}'
    notes = [*state.warnings, *([state.error.detail] if state.error else [])]
    parts = [f"<p>{heading}<br>{escape(in_words(state))}</p>", _table(state)]
    parts += [f"<p>{escape(note)}</p>" for note in notes]
    return "<div>" + "".join(parts) + (_chart(lines) if lines else "") + "</div>"


def lines_of(rows: Iterable[Mapping[str, Any]], domains: Iterable[str]) -> Lines:
    """The values of METRIC in scope `typical`, component `block`, in the order of the domains."""
    lines: dict[str, dict[int, float]] = {domain: {} for domain in domains}
    for row in rows:
        is_shown = row["scope"] == Scope.TYPICAL and row["component"] == Component.BLOCK
        if is_shown and row["domain"] != POOLED_DOMAIN and row[METRIC] is not None:
            lines.setdefault(row["domain"], {})[row["layer"]] = row[METRIC]
    return {domain: values for domain, values in lines.items() if values}


def _table(state: JobState) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("domain", "texts", "done", "failed"))
    body = "".join(
        f"<tr><td>{escape(name)}</td><td>{found.texts}</td><td>{found.done}</td><td>{found.failed}</td></tr>"
        for name, found in state.domains.items()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _chart(lines: Lines) -> str:
    """The lines as SVG. Layer 0 may be far above the others: its value is then next to the name."""
    highest = _ceiling(lines)
    last = max(layer for values in lines.values() for layer in values)
    height = max(HEIGHT, len(lines) * 16 + TOP)
    names = [domain + _above(values, highest) for domain, values in lines.items()]
    width = WIDTH + LEGEND + CHARACTER * max(len(name) for name in names)
    drawn = "".join(
        _line(name, values, place, highest, last)
        for place, (name, values) in enumerate(zip(names, lines.values(), strict=True))
    )
    title = f"{METRIC} of each layer (scope typical, component block)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'role="img" aria-label="{title}" font-family="sans-serif" font-size="11" fill="currentColor">'
        f"<title>{title}</title>{_axes(highest, last)}{drawn}</svg>"
    )


def _ceiling(lines: Lines) -> float:
    later = [value for values in lines.values() for layer, value in values.items() if layer > 0]
    largest = max(later or [value for values in lines.values() for value in values.values()])
    return largest * 1.1 if largest > 0 and math.isfinite(largest) else 1.0


def _x(layer: int, last: int) -> float:
    return LEFT + (WIDTH - LEFT - 10) * layer / max(last, 1)


def _y(value: float, highest: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(max(value, 0), highest) / highest


def _axes(highest: float, last: int) -> str:
    base = HEIGHT - BOTTOM
    frame = f'<path d="M{LEFT} {TOP}V{base}H{WIDTH}" fill="none" stroke="currentColor"/>'
    values = "".join(
        f'<text x="{LEFT - 4}" y="{_y(value, highest) + 4:.1f}" text-anchor="end">{value:.2g}</text>'
        for value in (0, highest / 2, highest)
    )
    layers = "".join(
        f'<text x="{_x(layer, last):.1f}" y="{base + 14}" text-anchor="middle">{layer}</text>'
        for layer in _ticks(last)
    )
    label = f'<text x="{(LEFT + WIDTH) / 2}" y="{base + 27}" text-anchor="middle">layer</text>'
    name = f'<text x="4" y="12">{METRIC}, scope typical</text>'
    return frame + values + layers + label + name


def _ticks(last: int) -> Sequence[int]:
    return range(0, last + 1, max(1, math.ceil((last + 1) / 12)))


def _above(values: Mapping[int, float], highest: float) -> str:
    """What is above the upper edge: " (↑ 85 in layer 0)"."""
    return "".join(f" (↑ {value:.2g} in layer {layer})" for layer, value in values.items() if value > highest)


def _line(name: str, values: Mapping[int, float], place: int, highest: float, last: int) -> str:
    colour = COLOURS[place % len(COLOURS)]
    dash = "" if place < len(COLOURS) else ' stroke-dasharray="4 2"'
    points = " ".join(
        f"{_x(layer, last):.1f},{_y(value, highest):.1f}" for layer, value in sorted(values.items())
    )
    y = TOP + 16 * place
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'
        f'<path d="M{WIDTH + 8} {y}h18" stroke="{colour}" stroke-width="2"{dash}/>'
        f'<text x="{WIDTH + 30}" y="{y + 4}">{escape(name)}</text>'
    )
