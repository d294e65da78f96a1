"""Plots of a job's rows: the four of the original study, and nine more.

- `mean_std`: `delta_mean` ± its standard deviation over texts;
- `abs_mean_abs_std`: `delta_abs_mean` ± its own standard deviation over texts;
- `abs_mean_std`: `delta_abs_mean` ± the standard deviation over texts of `delta_mean`;
- `variance_ranking`: the layers of each domain by the sample variance over texts of `delta_abs_mean`;
- `relative`: `relative_norm` with the 95 % confidence interval of its mean, scope `typical`;
- `components`: `delta_rms` of attention and MLP with the same interval, scope `typical`;
- `heatmap`: `relative_norm` as a colour, layers × domains, scope `typical`;
- `effect`: Hedges' g of `relative_norm` between two domains with its interval, scope `typical`, marked if
  q < 0.05; if there are more than 16 pairs, those that differ in most layers;
- `first_token`: the first token's share of `delta_abs_mean` and of its sample variance, scope `all`;
- `massive`: the share of the massive tokens in the squared norms that enter each layer, and their number;
- `importance`: `relative_norm`, scope `typical`, against `ablation_nll`, of jobs with that analysis;
- `ablation`: `ablation_nll` with its interval, of jobs with that analysis;
- `lens`: `lens_agreement`, `lens_kl` and `lens_entropy`, of jobs with the logit lens.

The study published its plots without definitions and measured all tokens. The first four plots are our
interpretation, in scope `all`. Every layer of every domain is shown, but not the pooled domain `*`; domains
are in the order of the rows. Lines differ in marker and dash pattern as well as in colour, shades in
lightness. Missing values are not drawn. A layer that would compress the others is outside the axis: its value
is written at the edge.
"""

import threading
from collections.abc import Sequence

import matplotlib

from app.errors import FileNotFound
from app.plots.ablation_cost import ABLATION
from app.plots.drawing.plot import JobContents as JobContents
from app.plots.drawing.plot import Plot as Plot
from app.plots.drawing.plot import PlotRow as PlotRow
from app.plots.drawing.sheet import Format as Format
from app.plots.drawing.sheet import Sheet, encode
from app.plots.drawing.style import STYLE
from app.plots.effect import EFFECT
from app.plots.first_token_share import FIRST_TOKEN
from app.plots.heatmap import HEATMAP
from app.plots.importance import IMPORTANCE
from app.plots.lens import LENS
from app.plots.massive_share import MASSIVE
from app.plots.profiles import PROFILES
from app.plots.ranking import RANKING

PLOTS: dict[str, Plot] = {
    **PROFILES,
    "variance_ranking": RANKING,
    "heatmap": HEATMAP,
    "effect": EFFECT,
    "first_token": FIRST_TOKEN,
    "massive": MASSIVE,
    "importance": IMPORTANCE,
    "ablation": ABLATION,
    "lens": LENS,
}

_one_at_a_time = threading.Lock()  # Matplotlib is not thread-safe, and rc_context is global


def find(name: str) -> Plot:
    """Raises: FileNotFound."""
    if name not in PLOTS:
        raise FileNotFound(f"There is no plot {name!r}. The plots are {', '.join(PLOTS)}.")
    return PLOTS[name]


def draw(plot: Plot, rows: Sequence[PlotRow], caption: str, file_format: Format) -> bytes:
    """Draws a plot; the same rows give the same bytes."""
    with _one_at_a_time, matplotlib.rc_context(STYLE):
        sheet = Sheet()
        plot.draw(sheet, rows, caption)
        return encode(sheet, file_format)
