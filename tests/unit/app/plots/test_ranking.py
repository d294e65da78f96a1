"""The ranking: a bar for each layer, in order of decreasing variance."""

import numpy as np
import pytest

from app.plots.drawing.style import LOOKS
from app.plots.ranking import LAYERS_OF_HALF_WIDTH, NO_VARIANCE, RANKING
from tests.support.drawn_plots import drawn, numbers, numbers_in, overlapping, polygons, triangles, words
from tests.support.jobs.plot_rows import DOMAINS, layer_rows, values_of

BARS = LOOKS[0].colour


def test_the_ranking_names_all_layers_by_falling_variance() -> None:
    rows = layer_rows(layers=4)
    for panel, domain in zip(drawn(RANKING, rows).panels, DOMAINS, strict=True):
        variances = values_of(rows, "delta_abs_mean_var", domain=domain, scope="all", component="block")
        ranked = [int(label) for label in panel.x.labels]
        assert ranked == sorted(range(4), key=lambda layer: -variances[layer])
        bars = polygons(panel, BARS)
        assert [bar[:, 1].max() for bar in bars] == pytest.approx(sorted(variances, reverse=True))
        assert {round(float(bar[:, 1].min()), 9) for bar in bars} == {0}
        assert [bar[:, 0].mean() for bar in bars] == pytest.approx(range(4))
        assert panel.x.low < bars[0][:, 0].min()
        assert panel.x.high > bars[-1][:, 0].max()


@pytest.mark.parametrize(
    ("domains", "layers", "columns"),
    [(1, 4, 1), (2, LAYERS_OF_HALF_WIDTH, 2), (2, LAYERS_OF_HALF_WIDTH + 1, 1), (1, 80, 1)],
)
def test_every_layer_is_named_however_many_there_are(domains: int, layers: int, columns: int) -> None:
    panels = drawn(RANKING, layer_rows(DOMAINS[:domains], layers)).panels
    assert len({panel.left for panel in panels}) == columns
    for panel in panels:
        assert sorted(map(int, panel.x.labels)) == list(range(layers))
    assert overlapping(np.array([each.box for each in numbers(panels[0].sheet)])) == []


def test_variances_that_would_compress_the_others_are_written() -> None:
    rows = layer_rows(["cpp"], layers=12)
    for row in rows:
        row["delta_abs_mean_var"] = 40.0 if row["layer"] == 3 else 1 - row["layer"] / 100
    (panel,) = drawn(RANKING, rows).panels
    assert panel.x.labels[0] == "3"
    assert panel.y.high < 1.1
    bars = polygons(panel, BARS)
    assert bars[0][:, 1].max() == pytest.approx(panel.y.high)
    assert numbers_in(panel) == ["40.0"]
    (triangle,) = triangles(panel)
    assert np.isclose(triangle.get_xdata()[0], panel.at([0], [0])[0, 0])
    assert "the variance is outside the axis" in " ".join(words("variance_ranking", rows))


def test_the_only_row_is_higher_than_one_of_several() -> None:
    heights = [drawn(RANKING, layer_rows(DOMAINS[:count])).panels[0].height for count in (1, 2, 3)]
    assert heights[0] == heights[1] > heights[2]


def test_the_ranking_of_a_single_text_has_no_numbers() -> None:
    rows = layer_rows(["cpp"], texts=1)
    (panel,) = drawn(RANKING, rows).panels
    assert panel.x.ticks == panel.y.ticks == ()
    assert NO_VARIANCE in words("variance_ranking", rows)
