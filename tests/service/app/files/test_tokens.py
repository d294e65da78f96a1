"""The numbers of tokens, from a model to the files over HTTP."""

import io
from collections.abc import Sequence
from itertools import product
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from app.files import tokens as module
from layerscope.core import Model, TokenProfiles, analyse_texts, load_model, profile_texts
from layerscope.core.tokenization.token_strings import token_strings
from layerscope.names import LENS_COLUMNS, TOKEN_METRICS, TOKENS_COLUMNS
from tests.support.http.over_http import path, rows_of
from tests.support.jobs.measured_job import measured_job
from tests.support.models.tiny import BOS, add_known_activations, causal_model, save

Sessions = sessionmaker[Session]
TEXTS = [("a", 'first, "quoted"'), ("b", ""), ("a", f"=has{BOS}two{BOS}more"), ("b", "yy")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Layer 1 adds 300 to a unit of each BOS token, and layer 3 subtracts it."""
    causal = causal_model()
    add_known_activations(causal, written=1, removed=3, values={5: 300.0})
    return load_model(save(causal, tmp_path_factory.mktemp("model")))


def finished(model: Model, sessions: Sessions, redis: Redis, **options: Any) -> UUID:
    options = {"special_tokens": "parse", "analysis_texts": 10} | options
    return measured_job(model, sessions, redis, TEXTS, **options)


def expected_rows(model: Model, analyses: Sequence[str], components: Sequence[str]) -> list[list[Any]]:
    """The rows, computed directly from the library."""
    texts = [text for _, text in TEXTS]
    rows: list[list[Any]] = []
    options: dict[str, Any] = {"components": components, "special_tokens": "parse"}
    profiles = profile_texts(model, texts, **options)
    for (domain, _), profile, analysis in zip(
        TEXTS, profiles, analyse_texts(model, texts, analyses, **options), strict=True
    ):
        found = analysis.token_profiles
        if found is None:
            continue
        massive = {token.position for token in profile.massive}
        strings = token_strings(model.tokenizer, found.ids.tolist())
        for position, (token_id, string) in enumerate(zip(found.ids.tolist(), strings, strict=True)):
            token = [profile.ordinal, domain, position, token_id, string, position in massive]
            for place, layer in product(range(len(components)), range(model.layers)):
                numbers = found.values[position, place, layer]
                lens = lens_cells(model, found, position, layer, components[place])
                rows.append([*token, components[place], layer, *numbers, *lens])
    return rows


def lens_cells(model: Model, found: TokenProfiles, position: int, layer: int, component: str) -> list[Any]:
    if found.predictions is None:
        return []
    rank, top1 = found.predictions[position, layer]
    if component != "block":
        return [None, None]
    return [None if np.isnan(rank) else int(rank), *token_strings(model.tokenizer, [int(top1)])]


@pytest.mark.parametrize("part", [1, 10**6], ids=["in-parts", "whole"])
@pytest.mark.parametrize(
    ("analyses", "components"),
    [(("logit_lens", "tokens"), ("block", "attention", "mlp")), (("tokens",), ("block", "mlp"))],
)
def test_every_cell(
    api: httpx.Client,
    sessions: Sessions,
    redis: Redis,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    analyses: tuple[str, ...],
    components: tuple[str, ...],
    part: int,
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_PART", part)
    job_id = finished(model, sessions, redis, analyses=list(analyses), components=list(components))
    expected = expected_rows(model, analyses, components)
    columns = [*TOKENS_COLUMNS, *(LENS_COLUMNS if "logit_lens" in analyses else ())]
    assert len({row[0] for row in expected}) == 3
    assert {row[5] for row in expected} == {True, False}

    table = pq.read_table(io.BytesIO(api.get(path(job_id, "tokens.parquet")).content))
    assert table.column_names == columns
    assert {str(table.schema.field(name).type) for name in TOKEN_METRICS} == {"float"}
    found = [list(row.values()) for row in table.to_pylist()]
    assert found == [[None if cell != cell else cell for cell in row] for row in expected]

    rows = rows_of(api.get(path(job_id, "tokens.csv")))
    assert list(rows[0]) == columns
    assert len(rows) == len(expected)
    for row, want in zip(rows, expected, strict=True):
        for cell, value in zip(row.values(), want, strict=True):
            if isinstance(value, np.float32):
                assert np.float32(cell or "nan") == value or (cell == "" and np.isnan(value))
            elif isinstance(value, bool):
                assert cell == str(value).lower()
            else:
                formula = isinstance(value, str) and value.startswith("=")
                assert cell == ("" if value is None else f"'{value}" if formula else str(value))


def test_only_sampled_texts_have_rows(
    api: httpx.Client, sessions: Sessions, redis: Redis, model: Model
) -> None:
    job_id = finished(model, sessions, redis, analyses=["tokens"], analysis_texts=1)
    ordinals = {row["ordinal"] for row in rows_of(api.get(path(job_id, "tokens.csv")))}
    texts = {row["ordinal"] for row in rows_of(api.get(path(job_id, "texts.csv")))}
    assert len(ordinals) <= 2 < len(texts)
    assert ">tokens.parquet<" in api.get(f"/jobs/{job_id}").text


@pytest.mark.parametrize("name", ["tokens.csv", "tokens.parquet"])
def test_a_job_without_tokens_has_no_such_file(
    api: httpx.Client, sessions: Sessions, redis: Redis, model: Model, name: str
) -> None:
    job_id = finished(model, sessions, redis, analyses=["logit_lens"])
    assert f">{name}<" not in api.get(f"/jobs/{job_id}").text
    for headers in ({}, {}, {"If-None-Match": "*"}, {"Range": "bytes=0-1"}):
        answer = api.get(path(job_id, name), headers=headers)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:layerscope:problem:file-not-found"
        assert '"analyses": ["tokens"]' in answer.json()["detail"]
