"""What the charts show of known numbers, in a real browser."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.jobs.one_token_job import one_token_job
from tests.support.programs.chromium import Browser

SERIES = "echarts.getInstanceByDom(document.querySelector('#chart-{} .drawing')).getOption().series"
WORDS = "[...document.querySelectorAll('#chart-{} svg text')].map((text) => text.textContent)"
CUT_WORDS = """[...document.querySelectorAll("#chart-%s svg text")].filter((text) => {
  const [word, all] = [text, text.closest("svg")].map((each) => each.getBoundingClientRect());
  return word.left < all.left || word.right > all.right;
}).map((text) => text.textContent)"""


ALL_DRAWN = "document.querySelectorAll('.chart svg').length === document.querySelectorAll('.chart').length"


def series(name: str, values: list[float | None]) -> dict[str, Any]:
    return {"name": name, "texts": "9", "values": values, "low": [], "high": [], "muted": []}


@pytest.fixture
def charts(browser: Browser, api: httpx.Client, sessions: sessionmaker[Session]) -> Browser:
    """The page of a job of three layers and two domains."""
    job_id, _ = lognormal_job(sessions, {"a": 9, "b": 8})
    browser.show_at(1280, "light")
    browser.open(f"{str(api.base_url).rstrip('/')}/jobs/{job_id}")
    browser.wait_for(ALL_DRAWN)
    return browser


def show(
    browser: Browser, chart: str, width: int, kind: str, *drawn: dict[str, Any], **more: str | list[str]
) -> None:
    """Other numbers in a chart, which the page draws again in the other colours."""
    data = {"kind": kind, "unit": "", "layers": [0, 1, 2], "tokens": [], "series": drawn} | more
    script = f"document.querySelector('#chart-{chart} script')"
    browser.evaluate(f"{script}.textContent = {json.dumps(json.dumps(data))}")
    browser.evaluate(f"document.querySelector('#chart-{chart} svg').dataset.is = 'old'")
    is_dark = browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    browser.show_at(width, "light" if is_dark else "dark")
    browser.wait_for(f"document.querySelector('#chart-{chart} svg:not([data-is])') !== null")


def test_only_values_outside_the_axis_are_at_its_edge(charts: Browser) -> None:
    show(charts, "profile", 1280, "lines", series("a", [0.5, 1, 1.2]), series("b", [100, 1, 1.1]))
    a, b = charts.evaluate(SERIES.format("profile"))
    assert a["data"] == [0.5, 1, 1.2]
    assert b["data"][0]["symbol"] == "triangle"
    assert b["data"][0]["value"] < 2
    assert "100" in charts.evaluate(WORDS.format("profile"))
    assert charts.errors == []


def test_names_of_rows_are_complete_where_there_is_space(charts: Browser) -> None:
    names = ["cpp", "numbers", "a-name-of-sixty-four-characters-that-is-as-long-as-it-may-be-wwww"]
    show(charts, "heatmap", 1280, "map", *(series(name, [1, 2, 3]) for name in names))
    assert set(names) <= set(charts.evaluate(WORDS.format("heatmap")))


def test_on_a_phone_nothing_that_is_written_is_cut(charts: Browser) -> None:
    pairs = [series(name, [-9.7, 2, 9.7]) for name in ("finance − numbers", "numbers − python")]
    show(charts, "effect", 400, "diverging_map", *pairs, unit="standard deviations")
    assert {"-9.7", "9.7", pairs[0]["name"]} <= set(charts.evaluate(WORDS.format("effect")))
    assert charts.evaluate(CUT_WORDS % "effect") == []
    domains = [series(name, [1, 2, 1]) for name in ("cpp", "finance", "numbers", "python")]
    show(charts, "profile", 400, "lines", *domains)
    words = charts.evaluate(WORDS.format("profile"))
    assert {"cpp", "finance", "numbers", "python"} <= set(words)
    assert charts.evaluate(CUT_WORDS % "profile") == []


def test_the_bar_of_colours_says_that_values_are_beyond_it(charts: Browser) -> None:
    show(charts, "heatmap", 1280, "map", series("a", [50, 1, 2]), series("b", [60, 0.5, 1]))
    words = charts.evaluate(WORDS.format("heatmap"))
    assert {"0.5", "≥ 2.3"} <= set(words)


def test_a_dominant_layer_does_not_compress_the_points_of_the_others(charts: Browser) -> None:
    written, cost = series("relative_norm", [80, 0.3, 0.4]), series("ablation_nll", [2.6, 0.2, -0.1])
    show(charts, "profile", 1280, "points", written, cost)
    (drawn,) = charts.evaluate(SERIES.format("profile"))
    places = [point["value"] for point in drawn["data"]]
    assert places[1:] == [[0.3, 0.2], [0.4, -0.1]]
    assert places[0][0] < 1
    assert places[0][1] < 1
    words = charts.evaluate(WORDS.format("profile"))
    assert "0 at 80; 2.6" in words
    assert charts.errors == []


def test_both_names_of_a_pair_are_shortened(charts: Browser) -> None:
    long = "-a-name-of-sixty-four-characters-that-is-as-long-as-it-may-be"
    pairs = [series(f"0{long} − {number}{long}", [1, 2, 3]) for number in (1, 2)]
    show(charts, "effect", 1280, "diverging_map", *pairs)
    words = [word for word in charts.evaluate(WORDS.format("effect")) if " − " in word]
    assert len(set(words)) == 2
    for number, word in enumerate(words, 1):
        left, right = word.split(" − ")
        assert f"0{long}".startswith(left.removesuffix("…"))
        assert f"{number}{long}".startswith(right.removesuffix("…"))
        assert left.endswith("…")
        assert len(left) > 10


def test_each_of_two_models_has_its_own_dominant_layer(charts: Browser) -> None:
    first = {**series("A", [80, 0.3, 0.4]), "at": [0, 0.5, 1]}
    second = {**series("B", [0.1, 15, 0.2, 0.3]), "at": [0, 0.33, 0.67, 1]}
    show(charts, "profile", 1280, "lines", first, second)
    a, b = (one["data"] for one in charts.evaluate(SERIES.format("profile")) if one["type"] == "line")
    assert (a[0]["symbol"], b[1]["symbol"]) == ("triangle", "triangle")
    assert max(a[0]["value"][1], b[1]["value"][1]) < 1
    assert (a[1:], [*b[:1], *b[2:]]) == ([[0.5, 0.3], [1, 0.4]], [[0, 0.1], [0.67, 0.2], [1, 0.3]])
    assert {"80", "15"} <= set(charts.evaluate(WORDS.format("profile")))


def test_a_dominant_layer_does_not_compress_the_tokens_of_the_others(charts: Browser) -> None:
    rows = [series("layer 0", [80, 70]), series("layer 1", [0.5, 1]), series("layer 2", [1, 0.2])]
    show(charts, "heatmap", 1280, "map", *rows, tokens=["a", "b"])
    assert {"0.2", "≥ 0.575"} <= set(charts.evaluate(WORDS.format("heatmap")))


def test_values_at_the_upper_and_at_the_lower_edge_have_labels_of_their_own(charts: Browser) -> None:
    values = {"a": 80, "b": -80, "c": -75}
    drawn = [series(name, [value, 0.3, 0.4]) for name, value in values.items()]
    show(charts, "profile", 1280, "lines", *drawn)
    words = charts.evaluate(WORDS.format("profile"))
    assert {"80", "-80 to -75"} <= set(words)
    assert not [word for word in words if "-80 to 80" in word]
    points = [one["data"][0] for one in charts.evaluate(SERIES.format("profile")) if one["type"] == "line"]
    assert [point["label"]["show"] for point in points] == [True, True, False]
    assert points[0]["value"] == -points[1]["value"] == -points[2]["value"]


def test_a_point_at_the_edge_without_a_second_value_is_labelled(charts: Browser) -> None:
    written, cost = series("relative_norm", [80, 0.3, 0.4]), series("ablation_nll", [None, 0.2, -0.1])
    show(charts, "profile", 1280, "points", written, cost)
    (drawn,) = charts.evaluate(SERIES.format("profile"))
    assert [point["label"]["formatter"] for point in drawn["data"]] == ["0 at 80; no value", "1", "2"]
    assert charts.errors == []


def test_a_chart_that_cannot_be_drawn_does_not_prevent_the_others(charts: Browser) -> None:
    count = charts.evaluate("document.querySelectorAll('.chart svg').length")
    script = "document.querySelector('#chart-profile script')"
    charts.evaluate(f"{script}.textContent = {script}.textContent.replace('lines', 'no such kind')")
    charts.evaluate("document.querySelectorAll('.chart svg').forEach((svg) => (svg.dataset.is = 'old'))")
    charts.show_at(1280, "dark")
    charts.wait_for(f"document.querySelectorAll('.chart svg:not([data-is])').length >= {count - 2}")
    assert charts.evaluate("document.querySelector('#chart-massive svg:not([data-is]) path') !== null")
    reading = "document.querySelector('#chart-profile .reading').textContent"
    assert charts.evaluate(reading) == "This chart cannot be drawn."
    assert [error.split(":")[0] for error in charts.errors] == ["chart-profile"]


def test_all_charts_of_a_job_with_texts_of_one_token_are_drawn(
    browser: Browser, api: httpx.Client, sessions: sessionmaker[Session], redis: Redis, tmp_path: Path
) -> None:
    page = f"{str(api.base_url).rstrip('/')}/jobs/{one_token_job(sessions, redis, tmp_path)}"
    for query in ("scope=all", "scope=typical", "scope=typical&domain=one&domain=single"):
        browser.open(f"{page}?{query}")
        browser.wait_for("document.querySelector('.chart') !== null")
        browser.wait_for(ALL_DRAWN)
        words = " ".join(browser.evaluate(WORDS.replace("#chart-{}", ".chart")))
        assert "∞" not in words
        assert "Infinity" not in words
    assert browser.errors == []
