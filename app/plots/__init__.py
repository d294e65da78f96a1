"""Pictures from a job's rows: the original study's four, and better ones.

- `mean_std`: `delta_mean` ± its standard deviation over texts;
- `abs_mean_abs_std`: `delta_abs_mean` ± its own standard deviation over texts;
- `abs_mean_std`: `delta_abs_mean` ± the standard deviation over texts of `delta_mean`;
- `variance_ranking`: the layers of each domain by the sample variance over texts of `delta_abs_mean`;
- `relative`: `relative_norm` with the 95 % confidence interval of its mean, scope `rest`;
- `components`: `delta_rms` of attention and MLP with the same interval, scope `rest`;
- `heatmap`: `relative_norm` as a shade, layers × domains, scope `rest`;
- `effect`: Hedges' g of `relative_norm` between two domains with its interval, scope `rest`, marked where
  q < 0.05; of more than 16 pairs those that differ in most layers;
- `first_token`: the first token's share of `delta_abs_mean` and of its sample variance, scope `all`;
- `importance`: `relative_norm`, scope `rest`, against `ablation_nll`, of jobs with the analysis `ablation`.

The study published its pictures without their definitions, and measured all tokens: the first four
are our reading of them, scope `all`. Every layer of every domain is shown; the pool `*` is not.
Lines differ in marker and dashes as well as in colour, shades in lightness. Where there is no value,
nothing is drawn.
"""

import threading
from collections.abc import Sequence

from matplotlib.figure import Figure

from app.errors import FileNotFound
from app.plots.drawing.canvas import Format as Format
from app.plots.drawing.canvas import encode
from app.plots.drawing.plot import JobContents as JobContents
from app.plots.drawing.plot import Picture
from app.plots.drawing.plot import Row as Row
from app.plots.drawing.plot import Table as Table
from app.plots.effect import EFFECT
from app.plots.first_token_share import FIRST_TOKEN
from app.plots.heatmap import HEATMAP
from app.plots.importance import IMPORTANCE
from app.plots.profiles import PROFILES
from app.plots.ranking import RANKING

PICTURES: dict[str, Picture] = {
    **PROFILES,
    "variance_ranking": RANKING,
    "heatmap": HEATMAP,
    "effect": EFFECT,
    "first_token": FIRST_TOKEN,
    "importance": IMPORTANCE,
}

_one_at_a_time = threading.Lock()  # Matplotlib promises no thread safety


def find(name: str) -> Picture:
    """Raises: FileNotFound."""
    if name not in PICTURES:
        raise FileNotFound(f"There is no picture {name!r}; there are {', '.join(PICTURES)}.")
    return PICTURES[name]


def draw(name: str, rows: Sequence[Row], caption: str, file_format: Format) -> bytes:
    """A picture of a job's rows: the same bytes for the same rows.

    Raises: FileNotFound for an unknown name.
    """
    picture = find(name)
    with _one_at_a_time:
        figure = Figure(facecolor="white")
        picture.draw(figure, rows, caption)
        return encode(figure, file_format)
