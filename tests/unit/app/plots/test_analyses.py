"""The plots of ablation and logit lens."""

import math

import pytest

from app.plots.ablation_cost import ABLATION, NO_VALUE
from app.plots.drawing.lines import GROUP
from app.plots.drawing.style import FAINT, LOOKS, NOT_SIGNIFICANT, SIGNIFICANT
from app.plots.lens import LENS, UNITS
from app.plots.lens import NO_VALUE as NO_ANALYSED_TEXT
from tests.support.drawn_plots import (
    drawn,
    legend,
    numbers_in,
    points,
    polygons,
    series,
    strokes,
    triangles,
    words,
)
from tests.support.jobs.plot_rows import DOMAINS, analysis_rows, values_of


def with_costs(costs: list[float], half: float = 0.1) -> list[dict[str, float]]:
    rows = analysis_rows(["cpp"], layers=len(costs))
    for row in rows:
        if row["ablation_nll"] is not None:
            cost = costs[row["layer"]]
            row |= {
                "ablation_nll": cost,
                "ablation_nll_ci_low": cost - half,
                "ablation_nll_ci_high": cost + half,
            }
    return rows


def test_every_layer_has_its_cost_its_interval_and_its_certainty() -> None:
    (panel,) = drawn(ABLATION, with_costs([0.3, 0.05, -0.2, 0.4])).panels
    assert panel.title == ("cpp (n = 3)",)
    found = {line.get_markerfacecolor(): points(panel, line) for line in series(panel)}
    assert found == {
        SIGNIFICANT.colour: [pytest.approx(each) for each in ((0, 0.3), (2, -0.2), (3, 0.4))],
        "white": [pytest.approx((1, 0.05))],
    }
    bars = strokes(panel, SIGNIFICANT.colour)
    assert [bar[:, 1].tolist() for bar in bars] == [
        pytest.approx(ends) for ends in ([0.2, 0.4], [-0.3, -0.1], [0.3, 0.5])
    ]
    assert [bar[:, 1].tolist() for bar in strokes(panel, NOT_SIGNIFICANT.colour)] == [
        pytest.approx([-0.05, 0.15])
    ]


def test_without_an_interval_no_layer_is_certain() -> None:
    sheet = drawn(ABLATION, analysis_rows(["cpp"], texts=1))
    (panel,) = sheet.panels
    (uncertain,) = series(panel)
    assert (uncertain.get_markerfacecolor(), len(points(panel, uncertain))) == ("white", 4)
    assert "or there is none (one text)" in legend(sheet)[1]


def test_layers_whose_cost_would_compress_the_others_are_written_at_the_edge() -> None:
    costs = [9.4, 5.0, 2.0, *[0.01 * layer for layer in range(25)]]
    (panel,) = drawn(ABLATION, with_costs(costs)).panels
    assert panel.y.high < 0.5
    assert numbers_in(panel) == ["9.40", "5.00", "2.00"]
    assert [points(panel, triangle)[0][0] for triangle in triangles(panel)] == pytest.approx([0])
    assert sum(len(points(panel, triangle)) for triangle in triangles(panel)) == 3
    said = "Triangles: values of layers 0, 1 and 2 outside the axis, written from left to right"
    assert said in " ".join(words("ablation", with_costs(costs)))


def test_long_intervals_are_cut_so_that_the_values_can_be_read() -> None:
    costs = [0.1, 0.2, 0.3, 0.4]
    (panel,) = drawn(ABLATION, with_costs(costs, half=40)).panels
    assert panel.y.high - panel.y.low < 1.5
    assert "extend beyond the axis are cut" in " ".join(words("ablation", with_costs(costs, half=40)))


def test_a_domain_without_an_ablated_text_says_so() -> None:
    rows = analysis_rows()
    for row in rows:
        if row["domain"] == "cpp":
            row |= {"ablation_nll": None, "ablation_nll_ci_low": None, "ablation_nll_ci_high": None}
            row |= dict.fromkeys(f"{metric}{end}" for metric in UNITS for end in ("", "_ci_low", "_ci_high"))
    assert words("ablation", rows).count(NO_VALUE) == 1
    assert NO_ANALYSED_TEXT not in words("lens", rows)  # the other domains are in the same panels
    alone = [row for row in rows if row["domain"] == "cpp"]
    assert words("lens", alone).count(NO_ANALYSED_TEXT) == len(UNITS)


def test_the_lens_has_a_panel_for_each_metric_and_a_line_for_each_domain() -> None:
    rows = analysis_rows(layers=6)
    sheet = drawn(LENS, rows)
    assert [panel.title for panel in sheet.panels] == [(f"{name} ({unit})",) for name, unit in UNITS.items()]
    assert legend(sheet) == [f"{domain} (n = 3)" for domain in DOMAINS]
    for panel, metric in zip(sheet.panels, UNITS, strict=True):
        for line, domain in zip(series(panel), DOMAINS, strict=True):
            expected = values_of(rows, metric, domain=domain, scope="all", component="block")
            assert [y for _, y in points(panel, line)] == pytest.approx(expected)
        assert polygons(panel, LOOKS[0].colour)


def test_more_domains_have_rows_of_panels_with_the_others_in_grey() -> None:
    domains = [f"d{i}" for i in range(2 * GROUP + 1)]
    sheet = drawn(LENS, analysis_rows(domains))
    assert len(sheet.panels) == 3 * len(UNITS)
    assert [len(series(panel)) for panel in sheet.panels] == [GROUP] * 6 + [1] * 3
    assert [len(strokes(panel, FAINT)) for panel in sheet.panels] == [GROUP + 1] * 6 + [2 * GROUP] * 3
    assert [name.split()[0] for name in legend(sheet)] == domains


def test_a_share_of_tokens_is_between_0_and_1() -> None:
    agreement = drawn(LENS, analysis_rows()).panels[0].y
    assert -0.1 < agreement.low < 0 < 1 < agreement.high < 1.1


def test_a_layer_without_a_value_is_a_gap() -> None:
    rows = analysis_rows(["cpp"])
    for row in rows:
        if row["layer"] == 1:
            row["lens_kl"] = None
    panel = drawn(LENS, rows).panels[1]
    assert [math.isnan(y) for _, y in points(panel, *series(panel))] == [False, True, False, False]
