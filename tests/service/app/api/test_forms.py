"""Files in a form, as curl and the web page send them: the same readers as those of the command line."""

import gzip
import html
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from app.tables import Job, ShardDomain, Text
from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
CSV = "text,label\nint x;,cpp\nx = 1,python\n"
CSV_TEXTS = [("cpp", "int x;", None), ("python", "x = 1", None)]

FORM = "multipart/form-data"
Files = list[tuple[str, tuple[str, bytes]]]


def files(**contents: str | bytes) -> Files:
    """Files by name; `__` stands for a dot."""
    return [
        ("file", (name.replace("__", "."), body if isinstance(body, bytes) else body.encode()))
        for name, body in contents.items()
    ]


def post(api: httpx.Client, sent: Files, **fields: str) -> httpx.Response:
    return api.post("/v1/jobs", data={"model": "demo"} | fields, files=sent)


def kept(sessions: Sessions) -> list[tuple[Any, ...]]:
    with sessions() as session:
        rows = session.execute(select(Text.domain, Text.text, Text.form).order_by(Text.ordinal))
        return [tuple(row) for row in rows]


def test_curl_sends_a_csv_file(api: httpx.Client, sessions: Sessions, tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text(CSV)
    url = f"{str(api.base_url).rstrip('/')}/v1/jobs"
    form = ("-F", f"file=@{file}", "-F", "model=demo", "-F", "name=by curl", "-F", "window=4")
    answer = subprocess.run(("curl", "-fsS", url, *form), capture_output=True, text=True, check=True)
    job = json.loads(answer.stdout)
    assert (job["name"], job["options"]["window"], job["progress"]["texts"]) == ("by curl", 4, 2)
    assert kept(sessions) == CSV_TEXTS


@pytest.mark.parametrize(
    ("sent", "fields", "texts"),
    [
        (files(a__csv=gzip.compress(CSV.encode())), {}, CSV_TEXTS),
        (files(a__jsonl='{"prompt": "a", "source": "x"}\n'), {}, [("x", "a", None)]),
        (files(a__jsonl='{"t": "a", "d": "x"}\n'), {"text": "t", "domain": "d"}, [("x", "a", None)]),
        (files(a__json='{"cpp": ["a"], "python": ["b"]}'), {}, [("cpp", "a", None), ("python", "b", None)]),
        (files(cpp__txt="a", python__txt="b"), {}, [("cpp", "a", None), ("python", "b", None)]),
        (files(cpp__txt="a\nb\n"), {"lines": "true"}, [("cpp", "a", None), ("cpp", "b", None)]),
        (files(a__csv="text\n\n"), {"pasted": " b ", "pasted_domain": "c"}, [("c", " b ", None)]),
        (
            files(a__csv="text\na\n", b__csv='text\nb\n""\n'),
            {"unusable": "skip"},
            [("a", "a", None), ("b", "b", None)],
        ),
        (files(a__jsonl='{"input_ids": [1, 2]}\n'), {}, [("a", "[1,2]", "token_ids")]),
        (
            [("file", ("data/cpp/1.txt", b"a")), ("file", ("data/python/1.txt", b"b"))],
            {},
            [("cpp", "a", None), ("python", "b", None)],
        ),
    ],
)
def test_files_become_texts(
    api: httpx.Client, sessions: Sessions, sent: Files, fields: dict[str, str], texts: list[tuple[Any, ...]]
) -> None:
    answer = post(api, sent, **fields)
    assert answer.status_code == 202, answer.text
    assert kept(sessions) == texts


@pytest.mark.parametrize(
    ("sent", "fields", "detail"),
    [
        (files(a__csv='text,label\n"",cpp\nb,cpp\n'), {}, "a.csv, line 2: "),
        (files(a__csv='text,label\n"",cpp\nb,cpp\n'), {}, "The field unusable=skip leaves such rows out."),
        (files(a__csv="t,label\na,cpp\n"), {}, "-F text=FIELD"),
        (files(a__csv="text,label\n" + '"",x\n' * 100), {}, "a.csv, line 2: "),
        (files(a__csv="text,label\n" + '"",x\n' * 100), {"unusable": "skip"}, "contains no text"),
        (files(a__pdf=b"%PDF"), {}, "a.pdf"),
        (files(a__json='{"texts": '), {}, "a.json"),
        (files(a__txt=b"\xff\xfe\xfa"), {}, "a.txt"),
        (files(a__csv=CSV), {"windw": "4"}, "windw: is not a known parameter"),
        (files(a__csv=CSV), {"lines": "maybe"}, "lines must be true or false"),
        (files(a__csv=CSV), {"unusable": "drop"}, "unusable must be refuse or skip"),
        (files(a__csv=CSV), {"model": "none"}, "model: "),
        ([], {"pasted": ""}, "The form has no file"),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_is_kept(
    api: httpx.Client, sessions: Sessions, sent: Files, fields: dict[str, str], detail: str
) -> None:
    answer = post(api, sent or [("file", ("", b""))], **fields)
    assert answer.status_code == 422, answer.text
    assert detail in answer.json()["detail"]
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_the_first_rows_that_cannot_be_used_are_listed(api: httpx.Client) -> None:
    answer = post(api, files(a__csv="text,label\n" + '"",x\nok,x\n' * 30))
    errors = answer.json()["errors"]
    assert [error["pointer"] for error in errors[:2]] == ["a.csv, line 2", "a.csv, line 4"]
    assert len(errors) <= 20


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": FORM}, b"", 422),
        ({"Content-Type": f"{FORM}; boundary=x"}, b"no form", 422),
        ({"Content-Type": f"{FORM}; boundary=x"}, b'--x\r\nContent-Disposition: form-data; name="a', 422),
        ({"Content-Type": f"{FORM}; boundary={1000 * 'x'}"}, b"no form", 422),
        ({"Content-Type": f"{FORM}; boundary=x", "Content-Encoding": "gzip"}, b"", 415),
    ],
)
def test_a_damaged_form_is_refused(
    api: httpx.Client, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert api.post("/v1/jobs", content=body, headers=headers).status_code == status


def test_a_repeated_form_with_the_same_key_is_the_same_job(api: httpx.Client) -> None:
    def send(content: str, **fields: str) -> httpx.Response:
        return api.post(
            "/v1/jobs",
            data={"model": "demo"} | fields,
            files=files(a__csv=content),
            headers={"Idempotency-Key": "k"},
        )

    first, again = send(CSV), send(CSV)
    assert (first.status_code, again.status_code, again.json()["id"]) == (202, 200, first.json()["id"])
    assert send(CSV + "z,cpp\n").status_code == 422
    assert send(CSV, window="3").status_code == 422


def test_a_large_form_is_refused_and_leaves_no_file(settings: Settings, database_url: str) -> None:
    small = settings.model_copy(update={"body_limit_bytes": 100_000})
    with serving(small) as url, httpx.Client(base_url=url) as api:
        answer = api.post("/v1/jobs", files=files(a__txt="a" * 200_000))
        assert answer.status_code == 413
        assert "LAYERSCOPE_BODY_LIMIT_BYTES" in answer.json()["detail"]
    assert list((settings.home / "uploads").iterdir()) == []


def test_the_preview_stores_nothing_and_shows_what_would_be_measured(
    api: httpx.Client, sessions: Sessions
) -> None:
    sent = files(a__csv='content,language\nint x;,C++\nx = 1,python\n"",python\n')
    page = api.post("/jobs/preview", data={"model": "demo"}, files=sent)
    assert page.status_code == 200, page.text
    text = html.unescape(page.text)
    assert "2 texts in 2 domains" in text
    assert "text from the field content, domain from the field language" in text
    assert "The domain “<bdi>C++</bdi>” becomes" in text
    assert "1 row cannot be used" in text
    assert "a.csv, line 4" in text
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_the_preview_estimates_the_time_from_the_latest_jobs(api: httpx.Client, sessions: Sessions) -> None:
    sent = files(a__csv="text\n" + "abcdefghij\n" * 10)
    assert (
        "as fast as in its latest jobs"
        not in api.post("/jobs/preview", data={"model": "demo"}, files=sent).text
    )
    lognormal_job(sessions, {"a": 3})
    with sessions.begin() as session:
        session.execute(update(Job).values(text_bytes=100, finished_at=Job.started_at + timedelta(seconds=2)))
        tokens = session.scalar(select(func.sum(ShardDomain.tokens)))
    page = api.post("/jobs/preview", data={"model": "demo"}, files=sent).text
    assert f"About {tokens} tokens and 2 seconds" in page


def test_files_that_cannot_be_read_have_no_preview(api: httpx.Client) -> None:
    answer = api.post("/jobs/preview", data={"model": "demo"}, files=files(a__pdf="%PDF"))
    assert (answer.status_code, "a.pdf" in answer.json()["detail"]) == (422, True)
    assert api.post("/jobs/preview", content=b"a").status_code == 415


def test_without_javascript_the_form_leads_to_the_page_of_the_job(api: httpx.Client) -> None:
    answer = api.post(
        "/jobs/new", data={"model": "demo", "pasted": "a", "max_tokens": ""}, files=[("file", ("", b""))]
    )
    (job,) = api.get("/v1/jobs").json()["data"]
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job['id']}")


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (gzip.compress(b"text\n" + b"\n" * 300_000_000, 1), 413, "GZIP_EXPANSION_LIMIT"),
        (gzip.compress(gzip.compress(b"text\na\n")), 422, "a.csv is compressed twice"),
        (gzip.compress(CSV.encode())[:-9], 422, "incomplete"),
    ],
    ids=["expands too much", "compressed twice", "incomplete"],
)
def test_a_compressed_file_has_limits(api: httpx.Client, content: bytes, status: int, detail: str) -> None:
    answer = post(api, files(a__csv=content))
    assert (answer.status_code, detail in answer.json()["detail"]) == (status, True), answer.text


def test_a_decompressed_file_has_a_limit(settings: Settings, database_url: str) -> None:
    small = settings.model_copy(update={"body_limit_bytes": 100_000, "gzip_expansion_limit": 10_000})
    with serving(small) as url, httpx.Client(base_url=url) as api:
        answer = post(api, files(a__csv=gzip.compress(b"text\n" + b"\n" * 2_000_000)))
        assert answer.status_code == 413
        assert "800000 bytes" in answer.json()["detail"]
