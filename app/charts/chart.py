"""What a chart of the job page shows: the numbers that are drawn, and those in the table below it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from layerscope.names import MEAN_AND_INTERVAL

DIGITS = 4  # significant digits of the numbers in the page; the files have all digits
DIGITS_SHOWN = 3


class Kind(StrEnum):
    """How a chart is drawn."""

    LINES = "lines"  # layers along x, a line with its interval for each series
    MAP = "map"  # layers along x, a row of coloured cells for each series
    DIVERGING_MAP = "diverging_map"  # the same around 0
    POINTS = "points"  # a point for each layer: its value in the first series, and in the second


@dataclass(frozen=True)
class ChartSeries:
    """The values of one domain, pair of domains or component, in the order of the layers of the chart.

    `low` and `high` are the ends of the 95 % intervals, or empty. `texts` is the number of texts behind the
    values, or a sentence such as "50 and 51". `at`: the places of the values on the axis; empty if they are
    those of the layers of the chart.
    """

    name: str
    texts: str
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    muted: tuple[bool, ...] = ()  # which values are not significant; or empty
    at: tuple[float, ...] = ()


@dataclass(frozen=True)
class Chart:
    """A chart with its table. `csv` is the file with all its numbers, `plot` the name of its SVG or None.

    `same_as` names another chart with the same numbers, which are not repeated. A chart with very many
    numbers `has_table` False.
    """

    name: str
    title: str
    about: str
    kind: Kind
    unit: str
    layers: tuple[int, ...]
    series: tuple[ChartSeries, ...]
    csv: str
    plot: str | None = None
    same_as: str | None = None
    has_table: bool = True
    tokens: tuple[str, ...] = ()  # tokens instead of layers along x; `layers` contains their positions

    @property
    def data(self) -> dict[str, Any]:
        """The JSON that the script draws."""
        if self.same_as is not None:
            return {"kind": self.kind.value, "same_as": self.same_as}
        return {
            "kind": self.kind.value,
            "unit": self.unit,
            "layers": self.layers,
            "tokens": self.tokens,
            "series": [
                {
                    "name": series.name,
                    "texts": series.texts,
                    "values": _rounded(series.values),
                    "low": _rounded(series.low),
                    "high": _rounded(series.high),
                    "muted": series.muted,
                    **({"at": _rounded(series.at)} if series.at else {}),
                }
                for series in self.series
            ],
        }

    @property
    def has_values(self) -> bool:
        """Whether anything can be drawn; a point needs a value in both series."""
        if self.kind is Kind.POINTS:
            pairs = zip(*(series.values for series in self.series), strict=True)
            return any(None not in pair for pair in pairs)
        return any(value is not None for series in self.series for value in series.values)

    @property
    def by_depth(self) -> bool:
        """Whether the values are at relative depths instead of layers."""
        return any(series.at for series in self.series)

    @property
    def cells(self) -> list[tuple[str, list[str]]]:
        """The table: a row for each layer or relative depth, with a cell for each series."""
        if not self.by_depth:
            return [
                (str(layer), [_cell(series, place) for series in self.series])
                for place, layer in enumerate(self.layers)
            ]
        places = [{depth: place for place, depth in enumerate(series.at)} for series in self.series]
        return [
            (
                shown(depth),
                [
                    _cell(series, at[depth]) if depth in at else ""
                    for series, at in zip(self.series, places, strict=True)
                ],
            )
            for depth in sorted(set().union(*places))
        ]


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]


def _cell(series: ChartSeries, place: int) -> str:
    """A mean with its interval: "0.412 [0.39, 0.43]"; empty if there is no value."""
    value = series.values[place]
    if value is None:
        return ""
    low = series.low[place] if series.low else None
    high = series.high[place] if series.high else None
    if low is None or high is None:
        return shown(value)
    return f"{shown(value)} [{shown(low)}, {shown(high)}]"


def shown(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{DIGITS_SHOWN}g}"


def series_of(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    column: str,
    texts: str,
    at: tuple[float, ...] = (),
) -> ChartSeries:
    """A column of rows, one for each layer in order, with its interval."""
    values, low, high = (tuple(row[column + suffix] for row in rows) for suffix in MEAN_AND_INTERVAL)
    return ChartSeries(name, texts, values, low, high, at=at)
