"""Plots over HTTP."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.errors import NoStatistics
from app.files import cache
from app.plots import PLOTS
from app.settings import Settings
from app.tables import Job, layer_profile
from layerscope.names import SCOPES_BEFORE_TYPICAL
from tests.support.http.slow_clients import connect, service
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import submit
from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.programs.serving import serving

ABSENT = UUID(int=0)
STUDIED = ("mean_std", "abs_mean_abs_std", "abs_mean_std", "relative")


def path(job_id: UUID, name: str) -> str:
    return f"/v1/jobs/{job_id}/plots/{name}"


def ablated_job(sessions: sessionmaker[Session]) -> UUID:
    """With what ablation and logit lens would have found."""
    job_id, _ = lognormal_job(sessions, {"b": 3, "c": 2}, analyses=["ablation", "logit_lens"])
    row = layer_profile.c
    ablated = {"analysis_texts": 2, "ablation_nll": 0.5 + row.layer, "ablation_nll_ci_low": row.layer}
    ablated |= dict.fromkeys(("lens_agreement", "lens_kl", "lens_entropy"), 0.1 + row.layer / 10)
    with sessions.begin() as session:
        analysed = (row.job_id == job_id) & (row.scope == "all") & (row.component == "block")
        session.execute(update(layer_profile).where(analysed).values(ablated))
    return job_id


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_comes_in_both_formats(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    job_id = ablated_job(sessions)
    png, svg = api.get(path(job_id, f"{name}.png")), api.get(path(job_id, f"{name}.svg"))
    assert (png.status_code, svg.status_code) == (200, 200)
    assert png.headers["Content-Type"] == "image/png"
    assert png.content.startswith(b"\x89PNG")
    assert svg.headers["Content-Type"].startswith("image/svg+xml")
    assert str(job_id) in svg.text
    assert "Model demo: demo/model at revision r1, float32" in svg.text


def test_the_plots_of_a_job_are_listed_each_with_its_address_or_the_reason_why_it_is_missing(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    for job_id, missing in (
        (ablated_job(sessions), set()),
        (finished_job(sessions).id, {"importance", "ablation", "lens"}),
    ):
        listed = api.get(f"/v1/jobs/{job_id}/plots").json()["data"]
        assert [plot["name"] for plot in listed] == list(PLOTS)
        assert {plot["name"] for plot in listed if plot["unavailable"]} == missing
        assert {plot["title"] for plot in listed} == {plot.title for plot in PLOTS.values()}
        for plot in listed:
            assert (plot["png"], plot["svg"]) == tuple(
                path(job_id, f"{plot['name']}.{end}") for end in ("png", "svg")
            )
            if plot["unavailable"]:
                assert plot["unavailable"] in api.get(plot["png"]).json()["detail"]


def test_plots_are_listed_after_the_end_of_a_job(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    assert api.get(f"/v1/jobs/{ABSENT}/plots").status_code == 404
    assert api.get(f"/v1/jobs/{submit(sessions, [('cpp', 'a')])}/plots").status_code == 409


def test_a_plot_is_as_stable_as_the_other_files(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    address = path(finished_job(sessions, name="Vier").id, "relative.svg")
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda _: api.get(address), range(4))
    assert {answer.content for answer in others} == {first.content}
    assert first.headers["Content-Length"] == str(len(first.content))
    assert first.headers["Content-Disposition"] == 'attachment; filename="Vier-relative.svg"'
    assert api.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    rest = api.get(address, headers={"Range": "bytes=100-"})
    assert (rest.status_code, rest.content) == (206, first.content[100:])
    assert api.head(address).headers["ETag"] == first.headers["ETag"]


def test_before_the_end_there_is_no_plot_yet(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    answer = api.get(path(submit(sessions, [("cpp", "a")]), "relative.png"))
    assert answer.status_code == 409
    assert int(answer.headers["Retry-After"]) > 0


def test_an_unknown_name_is_answered_with_the_known_ones(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions)
    for name in ("variance.png", "..%2Fresults.png", "relative.gif"):
        assert api.get(path(job.id, name)).status_code == 404
    answer = api.get(path(job.id, "variance.png"))
    assert answer.json()["type"].endswith("file-not-found")
    assert all(name in answer.json()["detail"] for name in PLOTS)
    assert api.get(path(ABSENT, "relative.png")).json()["type"].endswith("job-not-found")
    assert api.get(path(job.id, "variance.png"), headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize(
    ("components", "there", "missing"),
    [(["block"], "relative", "components"), (["attention", "mlp"], "components", "relative")],
)
def test_what_was_not_measured_has_no_plot(
    api: httpx.Client, sessions: sessionmaker[Session], components: list[str], there: str, missing: str
) -> None:
    job = finished_job(sessions, components=components)
    assert api.get(path(job.id, f"{there}.png")).status_code == 200
    answer = api.get(path(job.id, f"{missing}.png"))
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("file-not-found")
    assert "`components` excludes" in answer.json()["detail"]


def test_without_a_measured_text_there_is_no_plot(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = finished_job(sessions, failing=[0, 1, 2], outcome="cancelled")
    answer = api.get(path(job.id, "relative.png"))
    assert answer.status_code == 404
    assert "None of the job's texts could be measured" in answer.json()["detail"]


def test_effects_are_those_of_the_comparison(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 4, "b": 5, "c": 3})
    text = api.get(path(job_id, "effect.svg")).text
    assert "a − b (n = 3 and 5)" in text
    # 3: in scope typical, and the first text of a has one token
    assert "over all 9 tests (layers × pairs); scope typical" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 3}, "; only the first 3 tokens of each text count"),
        ({"max_tokens": 9, "paired": True}, "; at most 9 tokens of each text count; texts compared in pairs"),
    ],
)
def test_a_plot_tells_the_options_that_change_its_meaning(
    api: httpx.Client, sessions: sessionmaker[Session], options: dict[str, Any], words: str
) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 4, "b": 4}, **options)
    assert f"job {job_id}{words}" in api.get(path(job_id, "effect.svg")).text
    plain, _ = lognormal_job(sessions, {"a": 4, "b": 4})
    assert f"job {plain}{words[0]}" not in api.get(path(plain, "effect.svg")).text


@pytest.mark.parametrize("name", PLOTS)
def test_domains_are_in_the_order_in_which_they_were_submitted(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    submitted = {"c": 2, "a": 3, "b": 3}
    job_id, _ = lognormal_job(sessions, submitted, analyses=["ablation", "logit_lens"])
    text = api.get(path(job_id, f"{name}.svg")).text
    shown = re.findall(r"<!-- ([abc])(?: − ([abc]))? ?\(", text)
    if name == "effect":  # a pair is that of comparison.csv
        assert shown == [("a", "c"), ("b", "c"), ("a", "b")]
    else:
        assert [domain for domain, _ in shown] == list(submitted)


@pytest.mark.parametrize(
    ("source", "revision", "words"),
    [
        ("/srv/models/llama", "sha256:0123", "Model demo at revision sha256:0123, float32"),
        ("models/llama", "sha256:0123", "Model demo at revision sha256:0123, float32"),
        ("/srv/models/llama", None, "Model demo, float32"),
        ("~/models/llama", "r1", "Model demo at revision r1, float32"),
        ("C:\\models\\llama", "r1", "Model demo at revision r1, float32"),
        (
            "meta-llama/Llama-3.2-3B",
            "0cb88a4f",
            "Model demo: meta-llama/Llama-3.2-3B at revision 0cb88a4f, float32",
        ),
        ("gpt2", None, "Model demo: gpt2, float32"),
    ],
)
def test_a_caption_has_the_hub_id_of_a_model_and_never_a_path(
    api: httpx.Client, sessions: sessionmaker[Session], source: str, revision: str | None, words: str
) -> None:
    job_id = finished_job(sessions).id
    with sessions.begin() as session:
        job = session.get_one(Job, job_id)
        job.measured_with = {**(job.measured_with or {}), "source": source, "revision": revision}
    text = api.get(path(job_id, "relative.svg")).text
    assert f"{words}; job {job_id}" in text
    assert ("models" in text) == ("models" in words)


def test_a_single_text_has_no_deviation(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    text = api.get(path(finished_job(sessions).id, "mean_std.svg")).text
    assert "Mean contribution of each layer -->" in text
    assert "±" not in text


def test_massive_tokens_are_those_of_the_file(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job_id, _ = lognormal_job(sessions, {"c": 2, "b": 3})
    found = {row["domain"]: row for row in api.get(f"/v1/jobs/{job_id}/massive_tokens.json").json()["layers"]}
    text = api.get(path(job_id, "massive.svg")).text
    for domain in ("b", "c"):
        row = found[domain]
        assert f"{domain} ({row['massive']} of {row['tokens']} tokens;" in text
        assert f"first token: {row['massive_first']} of n = {row['texts']})" in text


def test_a_job_from_before_the_massive_tokens_says_that_it_has_none(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id = finished_job(sessions, scopes=SCOPES_BEFORE_TYPICAL).id
    assert "scope rest: all tokens except the first" in api.get(path(job_id, "relative.svg")).text
    answer = api.get(path(job_id, "massive.png"))
    assert answer.status_code == 404
    assert "by a version without the plot 'massive'" in answer.json()["detail"]


def test_importance_tells_how_many_texts_were_ablated(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    assert "(n = 3; 2 ablated)" in api.get(path(ablated_job(sessions), "importance.svg")).text


@pytest.mark.parametrize(
    ("name", "lack"),
    [
        ("effect", "compares domains"),
        ("importance", '`"analyses": ["ablation"]`'),
        ("ablation", '`"analyses": ["ablation"]`'),
        ("lens", '`"analyses": ["logit_lens"]`'),
    ],
)
def test_a_missing_plot_names_its_reason_and_is_not_on_the_page(
    api: httpx.Client, sessions: sessionmaker[Session], name: str, lack: str
) -> None:
    job_id, _ = lognormal_job(sessions, {"b": 3})
    answer = api.get(path(job_id, f"{name}.png"))
    assert answer.status_code == 404
    assert lack in answer.json()["detail"]
    assert path(job_id, f"{name}.png") not in api.get(f"/jobs/{job_id}").text


def test_a_job_whose_rows_are_missing_has_no_plot(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    answer = api.get(path(finished_job(sessions).id, "effect.png"))
    assert answer.status_code == 404
    assert "by a version without the plot 'effect'" in answer.json()["detail"]


def test_a_job_without_statistics_says_that_it_has_none(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id, error = finished_job(sessions).id, NoStatistics("Not computed.").problem.to_dict()
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(error=error, outcome="failed"))
    assert api.get(path(job_id, "effect.png")).json()["detail"] == "Not computed."


def test_a_job_s_plots_go_with_it(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = finished_job(sessions)
    assert api.get(path(job.id, "relative.png")).status_code == 200
    api.delete(f"/v1/jobs/{job.id}")
    assert api.get(path(job.id, "relative.png")).status_code == 404


def test_many_plots_at_once_do_not_delay_other_requests(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id = finished_job(sessions).id
    paths = [path(job_id, f"{name}.{suffix}") for name in STUDIED for suffix in ("png", "svg")]
    with ThreadPoolExecutor(len(paths)) as pool:
        drawn = [pool.submit(httpx.get, f"{api.base_url}{path}", timeout=120) for path in paths]
        slowest = 0.0
        while not all(future.done() for future in drawn):
            started = time.monotonic()
            assert api.get("/health/live").status_code == 200
            slowest = max(slowest, time.monotonic() - started)
            time.sleep(0.01)
    assert {future.result().status_code for future in drawn} == {200}
    assert slowest < 1


def test_plots_of_clients_that_have_gone_are_not_drawn(
    api_settings: Settings, sessions: sessionmaker[Session], redis_url: str, tmp_path: Path
) -> None:
    job_id = finished_job(sessions).id
    *names, last = (f"{name}.{kind}" for name in STUDIED for kind in ("svg", "png"))
    with service(api_settings, tmp_path) as url, ExitStack() as gone:
        for name in names:  # one of them waits until the process that draws has started
            connection = gone.enter_context(connect(url))
            connection.sendall(f"GET {path(job_id, name)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(0.3)
        gone.close()
        assert httpx.get(f"{url}{path(job_id, last)}", timeout=120).status_code == 200
    drawn = {file.name.partition("-")[2] for file in cache.folder_of(tmp_path, job_id).rglob("*.*")}
    assert last in drawn
    assert len(drawn) <= 2


def test_one_plot_too_many_is_told_to_come_back(
    api_settings: Settings, sessions: sessionmaker[Session], redis_url: str, tmp_path: Path
) -> None:
    job_id = finished_job(sessions).id
    limits = {"files_waiting_limit": 1, "home": tmp_path}
    with serving(api_settings.model_copy(update=limits)) as url, ThreadPoolExecutor(4) as pool:
        addresses = [f"{url}{path(job_id, f'{name}.svg')}" for name in STUDIED]
        answers = list(pool.map(partial(httpx.get, timeout=120), addresses))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 503}
        refused = answers[statuses.index(503)]
        assert refused.json()["type"] == "urn:layerscope:problem:too-busy"
        assert "LAYERSCOPE_FILES_WAITING_LIMIT" in refused.json()["detail"]
        assert {httpx.get(address, timeout=120).status_code for address in addresses} == {200}
