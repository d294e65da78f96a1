"""The plot of the massive tokens: their share of the norms by layer, and their number."""

import pytest

from app.plots import PLOTS, JobContents
from app.plots.massive_share import MASSIVE
from layerscope.names import POOLED_DOMAIN
from tests.support.drawn_plots import drawn, legend, points, series
from tests.support.jobs.plot_rows import DOMAINS, massive_rows, values_of


@pytest.mark.parametrize("count", [1, 4, 5])
def test_every_domain_has_its_shares_and_its_counts(count: int) -> None:
    domains = [f"d{i}" for i in range(count)]
    rows = massive_rows(domains, layers=6)
    sheet = drawn(MASSIVE, rows)
    shown = [[y for _, y in points(panel, line)] for panel in sheet.panels for line in series(panel)]
    assert shown == [pytest.approx(values_of(rows, "norm_share", domain=domain)) for domain in domains]
    assert POOLED_DOMAIN in {row["domain"] for row in rows}
    counts = [f"d{i} ({20 + i} of {1000 + i:,} tokens; first token: 5 of n = 5)" for i in range(count)]
    named = legend(sheet) if count <= 4 else [" ".join(panel.title) for panel in sheet.panels]
    assert named == counts


def test_shares_are_between_0_and_1() -> None:
    for panel in drawn(MASSIVE, massive_rows(DOMAINS)).panels:
        assert -0.1 < panel.y.low < 0 < 1 < panel.y.high < 1.1


def test_it_does_not_depend_on_the_components() -> None:
    assert PLOTS["massive"].unavailable_reason(JobContents(["attention"], domains=1)) is None
