"""Pictures with the layers along x and a metric along y."""

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator

from app.plots.canvas import FAINT, LOOKS, add_legend, frame, panels
from app.plots.layers import SCOPE_WORDS, Line

OVERLAID_DOMAINS = 4  # more bands on one pair of axes hide each other
LAYER_TICKS = 30


@dataclass(frozen=True)
class Profile:
    title: str
    metric: str
    unit: str
    scope: str
    components: tuple[str, ...] = ("block",)
    deviation: str | None = None  # the column of the band's half width; none: the metric's interval
    log: bool = False

    @property
    def band(self) -> str:
        what = f"standard deviation of {self.deviation.removesuffix('_std')}" if self.deviation else None
        return f"Band: {what or '95 % confidence interval of the mean'} over n > 1 texts (ddof = 1)"

    def draw(self, figure: Figure, lines: list[Line], caption: str) -> None:
        """One pair of axes for few domains, else one for each domain with the others behind it in grey."""
        domains = sorted({line.domain for line in lines})
        by_component = len(self.components) > 1
        together = not by_component and len(domains) <= OVERLAID_DOMAINS
        groups = (
            [lines] if together else [[line for line in lines if line.domain == name] for name in domains]
        )
        columns = 1 if len(groups) == 1 else 2 if len(groups) <= 4 else 3 if len(groups) <= 9 else 4
        height = {1: 5.2, 2: 3.2, 3: 2.6, 4: 2.2}[columns]
        named = together or by_component
        grid = panels(figure, len(groups), columns, height, legend=named, sharey=True)
        for number, (axes, group) in enumerate(zip(grid, groups, strict=True)):
            behind = [] if named else [line for line in lines if line.domain != group[0].domain]
            _draw_panel(axes, self, group, behind)
            axes.xaxis.set_major_locator(
                MaxNLocator(LAYER_TICKS // columns, integer=True, steps=[1, 2, 5, 10])
            )
            axes.set_title("" if together else group[0].title)
            axes.set_xlabel("layer" if number >= len(groups) - columns else "")
        if self.log:
            _scale_logarithmically(grid[0])
        figure.supylabel(f"{self.metric} ({self.unit})", fontsize=11)
        frame(figure, self.title, [caption, f"{self.band}; {SCOPE_WORDS[self.scope]}"])
        if named:
            names = self.components if by_component else [line.title for line in lines]
            add_legend(figure, grid[0].get_lines(), names)


PROFILES = {
    "mean_std": Profile(
        "Mean contribution of each layer ± its standard deviation over texts",
        "delta_mean",
        "activation",
        "all",
        deviation="delta_mean_std",
    ),
    "abs_mean_abs_std": Profile(
        "Mean absolute contribution of each layer ± its standard deviation over texts",
        "delta_abs_mean",
        "activation",
        "all",
        deviation="delta_abs_mean_std",
    ),
    "abs_mean_std": Profile(
        "Mean absolute contribution of each layer ± standard deviation of the signed mean",
        "delta_abs_mean",
        "activation",
        "all",
        deviation="delta_mean_std",
    ),
    "relative": Profile(
        "Contribution of each layer relative to the residual that enters it",
        "relative_norm",
        "no unit, log scale",
        "rest",
        log=True,
    ),
    "components": Profile(
        "What attention and MLP of each layer write",
        "delta_rms",
        "activation, log scale",
        "rest",
        components=("attention", "mlp"),
        log=True,
    ),
}


def _draw_panel(axes: Axes, profile: Profile, lines: list[Line], behind: list[Line]) -> None:
    axes.set_xlim(-0.5, len(lines[0].rows) - 0.5)
    for line in behind:
        axes.plot(line.column("layer"), line.column(profile.metric), color=FAINT, linewidth=0.8)
    for line, look in zip(lines, LOOKS, strict=False):
        _draw_line(axes, profile, line, *look)


def _draw_line(axes: Axes, profile: Profile, line: Line, colour: str, marker: str, dashes: str) -> None:
    layers = line.column("layer")
    axes.fill_between(layers, *_band(profile, line), color=colour, alpha=0.13, linewidth=0)
    axes.plot(
        layers,
        line.column(profile.metric),
        color=colour,
        marker=marker,
        linestyle=dashes,
        markersize=4 if len(layers) <= 40 else 2.5,
        linewidth=1.4,
    )


def _band(profile: Profile, line: Line) -> tuple[list[float], list[float]]:
    if profile.deviation is None:
        return line.column(f"{profile.metric}_ci_low"), line.column(f"{profile.metric}_ci_high")
    pairs = list(zip(line.column(profile.metric), line.column(profile.deviation), strict=True))
    return [mean - std for mean, std in pairs], [mean + std for mean, std in pairs]


def _scale_logarithmically(axes: Axes) -> None:
    """For all that share the y axis."""
    if axes.dataLim.minposy == math.inf:
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(_logarithmic_ticks(high / low))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _logarithmic_ticks(ratio: float) -> Locator:
    """Four to eight ticks, whether the axis spans a third of a decade or several decades."""
    if ratio < 3:
        return MaxNLocator(6)
    return LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 1000 else (1,))
