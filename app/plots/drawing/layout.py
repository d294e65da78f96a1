"""Where title, legend, panels, labels and caption are on a sheet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from matplotlib.lines import Line2D

from app.plots.drawing.panel import LINE_WIDTH, Panel
from app.plots.drawing.scales import Scale
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import (
    CAPTION_FONT,
    FONT,
    GRID,
    INK,
    MUTED,
    TICK_FONT,
    TITLE_FONT,
    WIDTH,
    Look,
)
from app.plots.drawing.words import line_height, width_of, wrapped

MARGIN, GAP = 0.12, 0.24  # of the sheet; between panels
AXIS_LABEL = 0.28  # across the words
TICK, TICK_GAP = 0.045, 0.08  # length of a tick; from the axis to its label
LABEL_SPACING = 1.12  # widths of a tick label, from its middle to that of the next one
SAMPLE, SAMPLE_GAP, KEY_GAP = 0.42, 0.09, 0.3  # of the line of a look in a legend
TITLE_GAP, LEGEND_GAP = 0.06, 0.14  # below the title of a panel, and below a legend
FRAME_ORDER = 0.5
HEIGHTS = {1: 4.4, 2: 2.7, 3: 2.1, 4: 1.7}  # of a panel, by the number of columns


@dataclass(frozen=True)
class LegendKey:
    """An entry of a legend."""

    name: str
    look: Look


@dataclass(frozen=True)
class PanelCell:
    """What a panel is placed with. `title` has one or more lines."""

    title: tuple[str, ...]
    x: Scale
    y: Scale
    x_grid: bool = True


@dataclass(frozen=True, kw_only=True)
class Layout:
    """`legends`: above these rows of panels. `left`, `right`: inches besides the panels for other things."""

    title: str
    caption: Sequence[str]
    cells: Sequence[PanelCell]
    columns: int
    height: float
    x_label: str = "layer"
    y_label: str = ""
    legends: Mapping[int, Sequence[LegendKey]] = field(default_factory=dict)
    shared: Literal["both", "x", "neither"] = "both"  # the scales that only outer panels label
    left: float = 0.0
    right: float = 0.0

    def panel_width(self) -> float:
        return (
            WIDTH - self._before(0) - self._between() * (self.columns - 1) - MARGIN - self.right
        ) / self.columns

    def panel_left(self, column: int) -> float:
        return self._before(0) + column * (self.panel_width() + self._between())

    def _before(self, column: int) -> float:
        labels = [cell.y.labels for cell in self.cells[column :: self.columns]]
        widest = max((width_of(label, TICK_FONT) for of_cell in labels for label in of_cell), default=0)
        return MARGIN + AXIS_LABEL * bool(self.y_label) + self.left + widest + TICK_GAP

    def _between(self) -> float:
        """Two columns are this far from each other."""
        if self.shared == "both":
            return GAP
        others = [self._before(column) for column in range(1, min(self.columns, len(self.cells)))]
        return GAP + max(others, default=0) - MARGIN - AXIS_LABEL * bool(self.y_label) - self.left

    @property
    def rows(self) -> int:
        return -(-len(self.cells) // self.columns)

    @property
    def tick_rows(self) -> int:
        """In one row, the labels along x would overlap if there are many."""
        return max(tick_rows(cell.x, self.panel_width()) for cell in self.cells)

    @property
    def below_panel(self) -> float:
        """The inches of the labels along x."""
        return TICK_GAP + self.tick_rows * line_height(TICK_FONT)


def tick_rows(x: Scale, inches: float) -> int:
    if len(x.ticks) < 2:
        return 1
    spacing = float(np.diff(x.places(x.ticks, 0, inches)).min())
    widest = max(width_of(label, TICK_FONT) for label in x.labels)
    return math.ceil(LABEL_SPACING * widest / spacing)


def columns_for(count: int) -> int:
    """Panels side by side for a number of panels."""
    return 1 if count == 1 else 2 if count <= 4 else 3 if count <= 9 else 4


def usual_width(columns: int) -> float:
    """About the width of a panel, of which the number of ticks depends and where titles are broken."""
    return (WIDTH - 1.1 - GAP * (columns - 1)) / columns - 0.05


def place_panels(sheet: Sheet, layout: Layout) -> list[Panel]:
    """Draws everything around the panels, and their axes."""
    caption = [line for each in layout.caption for line in wrapped(each, CAPTION_FONT, WIDTH - 2 * MARGIN)]
    title = wrapped(layout.title, TITLE_FONT * 1.12, WIDTH - 2 * MARGIN)  # bold letters are wider
    above = _space_above_rows(layout)
    low_ticks = layout.below_panel if layout.shared == "neither" else 0.0
    body = sum(above) + layout.rows * layout.height + (layout.rows - 1) * (GAP + low_ticks)
    below = layout.below_panel + AXIS_LABEL + MARGIN + len(caption) * line_height(CAPTION_FONT) + MARGIN
    head = MARGIN + len(title) * line_height(TITLE_FONT) + 0.06
    sheet.height = head + body + below
    _write_frame(sheet, title, caption)
    y = sheet.height - head
    for row in range(layout.rows):
        _write_legend(sheet, layout.legends.get(row, ()), y)
        y -= above[row] + layout.height
        for column, cell in enumerate(layout.cells[row * layout.columns : (row + 1) * layout.columns]):
            size = layout.panel_width(), layout.height
            sheet.panels.append(Panel(sheet, layout.panel_left(column), y, *size, cell.x, cell.y, cell.title))
        y -= GAP + low_ticks
    for number, (panel, cell) in enumerate(zip(sheet.panels, layout.cells, strict=True)):
        _draw_axes(panel, cell, *_labelled(layout, number))
    _label_axes(sheet, layout)
    return sheet.panels


def _space_above_rows(layout: Layout) -> list[float]:
    """For the legend and the titles of each row."""
    found = []
    for row in range(layout.rows):
        cells = layout.cells[row * layout.columns : (row + 1) * layout.columns]
        lines = max(len(cell.title) for cell in cells)
        legend = _legend_lines(layout.legends.get(row, ()))
        found.append(
            (len(legend) + lines) * line_height(FONT) + TITLE_GAP * bool(lines) + LEGEND_GAP * bool(legend)
        )
    return found


def _write_frame(sheet: Sheet, title: Sequence[str], caption: Sequence[str]) -> None:
    bold = {"fontweight": "bold", "va": "top"}
    sheet.write(MARGIN, sheet.height - MARGIN, "\n".join(title), TITLE_FONT, **bold)
    sheet.write(MARGIN, MARGIN, "\n".join(caption), CAPTION_FONT, color=MUTED, va="bottom")


def _labelled(layout: Layout, number: int) -> tuple[bool, bool]:
    """Whether a panel has tick labels along x and along y."""
    lowest = number + layout.columns >= len(layout.cells)
    return layout.shared == "neither" or lowest, layout.shared != "both" or number % layout.columns == 0


def _draw_axes(panel: Panel, cell: PanelCell, label_x: bool, label_y: bool) -> None:
    left, bottom, right, top = panel.left, panel.bottom, panel.right, panel.top
    across = panel.at(panel.x.ticks, [panel.y.low] * len(panel.x.ticks))[:, 0]
    up = panel.at([panel.x.low] * len(panel.y.ticks), panel.y.ticks)[:, 1]
    grid = [[(left, y), (right, y)] for y in up]
    grid += [[(x, bottom), (x, top)] for x in across if cell.x_grid]
    frame = [[(left, bottom), (left, top)], [(left, bottom), (right, bottom)]]
    frame += [[(x, bottom - TICK), (x, bottom)] for x in across] + [[(left - TICK, y), (left, y)] for y in up]
    panel.sheet.strokes(grid, GRID, 0.8, FRAME_ORDER)
    panel.sheet.strokes(frame, MUTED, 0.8, FRAME_ORDER + 0.1)
    if label_x:
        rows = tick_rows(panel.x, panel.width)
        below = [(x, bottom - TICK_GAP - i % rows * line_height(TICK_FONT)) for i, x in enumerate(across)]
        panel.sheet.figures(panel.x.labels, below, TICK_FONT, MUTED, anchor=(0.5, 1))
    if label_y:
        panel.sheet.figures(
            panel.y.labels, [(left - TICK_GAP, y) for y in up], TICK_FONT, MUTED, anchor=(1, 0.5)
        )
    if panel.title:
        panel.sheet.write(left, top + TITLE_GAP, "\n".join(panel.title), va="bottom")


def _label_axes(sheet: Sheet, layout: Layout) -> None:
    for panel in sheet.panels[-layout.columns :]:
        middle, below = panel.left + panel.width / 2, panel.bottom - layout.below_panel - AXIS_LABEL / 2
        sheet.write(middle, below, layout.x_label, ha="center")
    if layout.y_label:
        low, high = sheet.panels[-1].bottom, sheet.panels[0].top
        x = MARGIN + AXIS_LABEL / 2
        sheet.write(x, (low + high) / 2, layout.y_label, ha="center", rotation=90)


def _legend_lines(keys: Sequence[LegendKey]) -> list[list[tuple[float, LegendKey]]]:
    """The keys of each line with their places."""
    lines: list[list[tuple[float, LegendKey]]] = []
    x = WIDTH
    for key in keys:
        width = _sample(key.look) + SAMPLE_GAP + width_of(key.name, FONT)
        if x + width > WIDTH - MARGIN:
            lines.append([])
            x = MARGIN
        lines[-1].append((x, key))
        x += width + KEY_GAP
    return lines


def _sample(look: Look) -> float:
    return SAMPLE if look.dashes else SAMPLE / 3


def _write_legend(sheet: Sheet, keys: Sequence[LegendKey], top: float) -> None:
    for number, line in enumerate(_legend_lines(keys)):
        y = top - (number + 0.5) * line_height(FONT)
        for x, key in line:
            width, look = _sample(key.look), key.look
            middle = Line2D([x + width / 2], [y], color=look.colour, marker=look.marker, markersize=5)
            middle.set_markerfacecolor(look.face or look.colour)
            sheet.add(middle)
            if look.dashes:
                sheet.strokes([[(x, y), (x + width, y)]], look.colour, LINE_WIDTH, 2, look.dashes)
            sheet.write(x + width + SAMPLE_GAP, y, key.name, color=INK)
