"""Plots with the layers along x and a metric along y."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.plots.drawing.canvas import FAINT, LOOKS, add_legend, draw_line, layer_panels, write_instead
from app.plots.drawing.lines import Line, lines_in_scope
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import scale_logarithmically

OVERLAID_DOMAINS = 4  # more bands on one pair of axes hide each other
NO_TOKEN = "no value: every text\nhas only one token"


@dataclass(frozen=True, kw_only=True)
class Profile(Plot):
    metric: str
    unit: str
    deviation: str | None = None  # the column of the band's half width; none: the metric's interval
    log: bool = False

    @property
    def band(self) -> str:
        if self.deviation is None:
            return "Band: 95 % confidence interval of the mean over n > 1 texts"
        of = self.deviation.removesuffix("_std")
        return f"Band: standard deviation of {of} over n > 1 texts (ddof = 1)"

    def draw(self, figure: Figure, rows: Sequence[PlotRow], caption: str) -> None:
        """One pair of axes for few domains, else one for each domain with the others behind it in grey."""
        lines = lines_in_scope(self, rows)
        domains = sorted({line.domain for line in lines})
        by_component = len(self.components) > 1
        together = not by_component and len(domains) <= OVERLAID_DOMAINS
        groups = (
            [lines] if together else [[line for line in lines if line.domain == name] for name in domains]
        )
        names = self.components if by_component else [line.title for line in lines] if together else []
        heading = self.title, [caption, f"{self.band}; {SCOPE_WORDS[self.scope]}"]
        grid = layer_panels(figure, heading, len(groups), len(lines[0].rows), legend=bool(names))
        for axes, group in zip(grid, groups, strict=True):
            behind = [] if names else [line for line in lines if line.domain != group[0].domain]
            _draw_panel(axes, self, group, behind)
            axes.set_title("" if together else group[0].title)
        if _is_empty(lines):
            grid[0].set_yticks([])  # there is nothing to scale
        elif self.log:
            scale_logarithmically(grid[0], "y")
        figure.supylabel(f"{self.metric} ({self.unit})", fontsize=11)
        if names:
            add_legend(figure, grid[0].get_lines(), names)


PROFILES = {
    "mean_std": Profile(
        title="Mean contribution of each layer ± its standard deviation over texts",
        metric="delta_mean",
        unit="activation",
        scope="all",
        deviation="delta_mean_std",
    ),
    "abs_mean_abs_std": Profile(
        title="Mean absolute contribution of each layer ± its standard deviation over texts",
        metric="delta_abs_mean",
        unit="activation",
        scope="all",
        deviation="delta_abs_mean_std",
    ),
    "abs_mean_std": Profile(
        title="Mean absolute contribution of each layer ± standard deviation of the signed mean",
        metric="delta_abs_mean",
        unit="activation",
        scope="all",
        deviation="delta_mean_std",
    ),
    "relative": Profile(
        title="Contribution of each layer relative to the residual that enters it",
        metric="relative_norm",
        unit="no unit, log scale",
        scope="typical",
        log=True,
    ),
    "components": Profile(
        title="What attention and MLP of each layer write",
        metric="delta_rms",
        unit="activation, log scale",
        scope="typical",
        components=("attention", "mlp"),
        log=True,
    ),
}


def _draw_panel(axes: Axes, profile: Profile, lines: list[Line], behind: list[Line]) -> None:
    for line in behind:
        axes.plot(line.column("layer"), line.column(profile.metric), color=FAINT, linewidth=0.8)
    for line, look in zip(lines, LOOKS, strict=False):
        layers = line.column("layer")
        axes.fill_between(layers, *_band(profile, line), color=look[0], alpha=0.13, linewidth=0)
        draw_line(axes, layers, line.column(profile.metric), look)
    if _is_empty(lines):
        write_instead(axes, NO_TOKEN)


def _is_empty(lines: list[Line]) -> bool:
    return not any(row["texts"] for line in lines for row in line.rows)


def _band(profile: Profile, line: Line) -> tuple[list[float], list[float]]:
    if profile.deviation is None:
        return line.column(f"{profile.metric}_ci_low"), line.column(f"{profile.metric}_ci_high")
    pairs = list(zip(line.column(profile.metric), line.column(profile.deviation), strict=True))
    return [mean - std for mean, std in pairs], [mean + std for mean, std in pairs]
