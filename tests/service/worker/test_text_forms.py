"""Texts in all forms from end to end: a request over HTTP, a real worker on a tiny Llama, the files.

The reference of a text is another text whose token ids are given.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import delete, insert
from sqlalchemy.orm import Session, sessionmaker

from app.local.servers import Servers
from app.settings import Settings
from app.tables import LoadedModel
from layerscope.names import METRICS
from tests.support.models.tiny import byte_tokenizer, causal_model, save
from tests.support.models.tokenizers import TEMPLATE
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import serving
from tests.support.programs.worker_process import start_worker

Sessions = sessionmaker[Session]
END_SECONDS = 150
BOS, NEWLINE = 0, byte_tokenizer(bos=False)("\n")["input_ids"]
SPELLED = "a<s>b"


def byte_ids(text: str) -> list[int]:
    """The ids of the characters, also of those that spell a special token."""
    tokenizer = byte_tokenizer(bos=False)
    return [token for character in text for token in tokenizer(character)["input_ids"]]


@pytest.fixture(scope="module")
def client(
    embedded_servers: Servers, migrated_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The service with a worker for `chat`, and a worker for `plain`, which has no chat template."""
    folder = tmp_path_factory.mktemp("forms")
    for name in ("chat", "plain"):
        save(causal_model(), folder / name)
    (folder / "chat" / "chat_template.jinja").write_text(TEMPLATE.replace("</s>", "<s>"))
    models = folder / "models.toml"
    models.write_text("".join(f'[{name}]\nsource = "{folder / name}"\n' for name in ("chat", "plain")))
    settings = Settings(
        home=folder / "home",
        database_url=migrated_database_url,
        redis_url=embedded_servers.redis_url,
        models=models,
        sweep_seconds=0.5,
        shard_texts=2,
    )
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        workers = [start_worker(settings, name) for name in ("chat", "plain")]
        yield client
    for worker in workers:
        worker.kill()
        worker.wait()


class Measured:
    """The rows of texts.csv by ordinal."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.rows = rows

    def values(self, ordinal: int) -> Any:
        rows = [row for row in self.rows if row["ordinal"] == str(ordinal)]
        return np.array([[float(row[name] or "nan") for name in METRICS] for row in rows])

    def column(self, name: str) -> list[str]:
        cells = {int(row["ordinal"]): row[name] for row in self.rows}
        return [cells[ordinal] for ordinal in sorted(cells)]

    def assert_same(self, *ordinals: int) -> None:
        for other in ordinals[1:]:
            np.testing.assert_allclose(self.values(other), self.values(ordinals[0]), rtol=1e-4, atol=1e-6)


def measure(client: httpx.Client, answer: httpx.Response) -> Measured:
    assert answer.status_code == 202, answer.text
    job = answer.json()["links"]["self"]
    wait_for(lambda: client.get(f"{job}?wait=5").json()["finished_at"], END_SECONDS)
    text = client.get(f"{job}/texts.csv").text
    return Measured(list(csv.DictReader(io.StringIO(text, newline=""))))


def post(client: httpx.Client, texts: Any, **options: Any) -> httpx.Response:
    return client.post("/v1/jobs", json={"model": "chat", "texts": texts, "options": options})


def test_all_forms_are_measured_as_the_model_sees_them(client: httpx.Client, database_url: str) -> None:
    messages = [{"role": "user", "content": f" {SPELLED}"}, {"role": "assistant", "content": "c"}]
    rendered = [
        *(BOS, *byte_ids(f"user: {SPELLED}"), BOS, *NEWLINE),
        *(*byte_ids("assistant: c"), BOS, *NEWLINE),
    ]
    texts = [
        *(SPELLED, {"text": SPELLED}, {"token_ids": [BOS, *byte_ids(SPELLED)]}),
        *({"messages": messages}, {"token_ids": rendered}),
        {"token_ids": byte_ids("b")},  # without BOS
    ]
    found = measure(client, post(client, texts))
    found.assert_same(0, 1, 2)
    found.assert_same(3, 4)
    assert found.column("tokens") == ["6", "6", "6", str(len(rendered)), str(len(rendered)), "1"]
    assert found.column("special_tokens_added") == ["1", "1", "0", "3", "0", "0"]
    assert found.column("error") == [""] * 6


def test_special_tokens_are_parsed_where_it_is_wanted(client: httpx.Client, database_url: str) -> None:
    ids = [BOS, *byte_ids("a"), BOS, *byte_ids("b")]
    messages = [{"role": "user", "content": SPELLED}]
    rendered = [BOS, *byte_ids("user: a"), BOS, *byte_ids("b"), BOS, *NEWLINE]
    texts = [SPELLED, {"token_ids": ids}, {"messages": messages}, {"token_ids": rendered}]
    found = measure(client, post(client, texts, special_tokens="parse"))
    found.assert_same(0, 1)
    found.assert_same(2, 3)
    assert found.column("special_tokens_added") == ["1", "0", "2", "0"]


def test_texts_that_only_the_model_can_refuse_fail(client: httpx.Client, database_url: str) -> None:
    texts = [{"messages": [{"role": "pirate", "content": "a"}]}, {"token_ids": [257]}, "a"]
    found = measure(client, post(client, texts))
    errors = found.column("error")
    assert errors[0] == "the chat template of the model refuses the messages: unknown role pirate"
    assert errors[1].startswith("token id 257 is outside the model's vocabulary of 257 tokens")
    assert (errors[2], found.column("special_tokens_added")) == ("", ["", "", "1"])


def test_a_stream_of_other_data_with_invalid_texts(client: httpx.Client, database_url: str) -> None:
    lines = [
        {"code": SPELLED, "label": 3, "id": 1},
        {"code": " ", "label": 3, "id": 2},
        {"code": "b" * 9, "label": True, "id": 3},
    ]
    query = "model=chat&text=code&domain=label&on_invalid=fail&window=6&components=block"
    answer = client.post(
        f"/v1/jobs?{query}",
        content="".join(json.dumps(line) + "\n" for line in lines),
        headers={"Content-Type": "application/jsonl"},
    )
    found = measure(client, answer)
    assert found.column("domain") == ["3", "3", "true"]
    assert found.column("tokens") == ["6", "", "6"]
    assert found.column("error") == ["", "the text is empty or contains only white space", ""]
    job = client.get(answer.json()["links"]["self"]).json()
    assert (job["status"], job["progress"]["failed"]) == ("succeeded", 1)


def test_a_model_without_chat_template_is_named(client: httpx.Client, sessions: Sessions) -> None:
    plain = {"model": "plain", "texts": ["a"]}
    measure(client, client.post("/v1/jobs", json=plain))  # now the worker has loaded the model
    with sessions.begin() as session:
        session.execute(delete(LoadedModel))
    messages = {**plain, "texts": [{"messages": [{"role": "user", "content": "a"}]}]}
    found = measure(client, client.post("/v1/jobs", json=messages))
    assert found.column("error") == ["the model has no chat template; use text or token_ids"]


def test_what_a_worker_reports_decides_whether_messages_are_accepted(
    client: httpx.Client, sessions: Sessions
) -> None:
    facts = provenance(client, post(client, ["a"]))["measured_with"]
    assert facts["chat_template"] is True
    assert facts["special_tokens"] == {"before": ["<s>"], "after": []}
    plain = {"model": "plain", "texts": ["a"]}
    reported = provenance(client, client.post("/v1/jobs", json=plain))["measured_with"]
    assert reported["chat_template"] is False
    with sessions.begin() as session:  # as the worker did when it loaded the model, before this test began
        session.execute(insert(LoadedModel).values(name="plain", measured_with=reported))
    messages = {**plain, "texts": [{"messages": [{"role": "user", "content": "a"}]}]}
    refused = client.post("/v1/jobs", json=messages)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/texts/0/messages"


def provenance(client: httpx.Client, answer: httpx.Response) -> Any:
    measure(client, answer)
    results = client.get(f"{answer.json()['links']['self']}/results.json")
    return results.json()["provenance"]
