"""What a notebook shows of a job."""

from typing import Any
from xml.etree import ElementTree

from layerscope.client.notebook_view import job_html, lines_of
from layerscope.client.states import JobState

HOSTILE = '<script>alert("x")</script>&'


def state(**changes: Any) -> JobState:
    members: dict[str, Any] = {
        "id": "0198",
        "name": HOSTILE,
        "status": "succeeded",
        "model": {"name": HOSTILE, "layers": 3},
        "created_at": "2026-11-26T10:00:00Z",
        "started_at": "2026-11-26T10:00:00Z",
        "finished_at": "2026-11-26T10:00:09Z",
        "progress": {"texts": 3, "done": 2, "failed": 1, "tokens": 40, "texts_per_second": 0.5},
        "domains": {HOSTILE: {"texts": 2, "done": 1, "failed": 1}, "b": {"texts": 1, "done": 1, "failed": 0}},
        "warnings": [HOSTILE],
        "links": {"page": "/jobs/0198"},
    }
    return JobState.model_validate(members | changes)


def rows(values: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    return [
        {"domain": domain, "scope": "typical", "component": "block", "layer": layer, "relative_norm": value}
        for domain, of_layers in values.items()
        for layer, value in enumerate(of_layers)
    ]


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html.replace("<br>", "<br/>"))


def test_everything_is_escaped() -> None:
    html = job_html(state(), f'http://x/"{HOSTILE}', rows({HOSTILE: [5.0, 0.2, 0.3], "b": [4.0, 0.1, 0.4]}))
    assert "<script" not in html
    element = parsed(html)
    assert "".join(element.itertext()).count(HOSTILE) == 5  # name, model, domain, warning, legend
    link = element.find(".//a")
    assert link is not None
    assert link.get("href") == f'http://x/"{HOSTILE}'


SVG = "{http://www.w3.org/2000/svg}svg"


def test_the_table_has_a_row_for_each_domain() -> None:
    cells = [cell.text for cell in parsed(job_html(state(), "http://x", [])).iter("td")]
    assert cells == [HOSTILE, "2", "1", "1", "b", "1", "1", "0"]


def test_without_results_there_is_no_chart() -> None:
    assert "<svg" not in job_html(state(finished_at=None, status="running"), "http://x", [])


def test_the_chart_has_a_line_for_each_domain_and_layer_0_does_not_compress_the_others() -> None:
    element = parsed(job_html(state(), "http://x", rows({HOSTILE: [50.0, 0.2, 0.4], "b": [0.1, 0.3, None]})))
    namespace = "{http://www.w3.org/2000/svg}"
    first, second = element.iter(f"{namespace}polyline")
    points = [[float(part) for part in point.split(",")] for point in (first.get("points") or "").split()]
    assert len(points) == 3
    assert len((second.get("points") or "").split()) == 2
    heights = [y for _, y in points]
    assert heights[0] < heights[2] < heights[1]
    assert heights[1] - heights[2] > 50  # of 220
    assert f"{HOSTILE} (↑ 50 in layer 0)" in [text.text for text in element.iter(f"{namespace}text")]


def test_the_chart_is_as_wide_as_the_longest_name_needs() -> None:
    name = "W" * 64
    (svg,) = parsed(job_html(state(), "http://x", rows({name: [1.0], "b": [1.0]}))).iter(SVG)
    assert float(svg.get("width") or 0) > 560 + 64 * 6


def test_only_one_scope_and_component_are_shown_and_not_the_pooled_domain() -> None:
    found = rows({"a": [1.0], "*": [2.0]})
    others = [row | {"scope": "all"} for row in found] + [row | {"component": "mlp"} for row in found]
    assert lines_of([*others, *found], ["a"]) == {"a": {0: 1.0}}


def test_a_failed_job_shows_its_error() -> None:
    error = {"type": "x", "title": "t", "detail": "no <weights>"}
    html = job_html(state(status="failed", error=error), "http://x", [])
    assert "no &lt;weights&gt;" in html
