"""The ranking: a bar for each layer, in order of decreasing variance."""

import pytest

from app.plots.ranking import LAYERS_OF_HALF_WIDTH, RANKING
from tests.support.plot_rows import DOMAINS, axes_of, layer_rows, run_into_each_other, values_of


def test_the_ranking_names_all_layers_by_falling_variance() -> None:
    rows = layer_rows(layers=12)
    for axes, domain in zip(axes_of(RANKING, rows), DOMAINS, strict=True):
        variances = values_of(rows, "delta_abs_mean_var", domain=domain, scope="all", component="block")
        ranked = [int(label.get_text()) for label in axes.get_xticklabels()]
        assert ranked == sorted(range(12), key=lambda layer: -variances[layer])
        assert [bar.get_height() for bar in axes.patches] == sorted(variances, reverse=True)
        left, right = axes.get_xlim()
        edges = axes.patches[0].get_x(), axes.patches[-1].get_x() + axes.patches[-1].get_width()
        assert 0 < edges[0] - left < 0.5
        assert 0 < right - edges[1] < 0.5


@pytest.mark.parametrize(
    ("domains", "layers", "columns"),
    [(1, 4, 1), (2, LAYERS_OF_HALF_WIDTH, 2), (2, LAYERS_OF_HALF_WIDTH + 1, 1), (1, 80, 1)],
)
def test_numbers_of_layers_do_not_run_into_each_other(domains: int, layers: int, columns: int) -> None:
    panels = axes_of(RANKING, layer_rows(DOMAINS[:domains], layers))
    panels[0].figure.draw_without_rendering()
    for axes in panels:
        labels = axes.get_xticklabels()
        assert axes.get_gridspec().ncols == columns
        assert not run_into_each_other(labels)
        assert {label.get_rotation() for label in labels} == {0 if layers <= LAYERS_OF_HALF_WIDTH else 90}
        assert not any(line.get_visible() for line in axes.get_xgridlines())


def test_a_single_row_is_as_high_as_two() -> None:
    figures = [axes_of(RANKING, layer_rows(DOMAINS[:count]))[0].figure for count in (1, 2, 3)]
    assert len({figure.get_figheight() for figure in figures}) == 1


def test_the_ranking_of_a_single_text_has_no_numbers() -> None:
    (axes,) = axes_of(RANKING, layer_rows(["cpp"], texts=1))
    assert axes.get_xticks().size == axes.get_yticks().size == 0
