"""The tokens of a text on its page agree with tokens.csv."""

import csv
import html
import json
import re
from uuid import UUID

import httpx
import numpy as np
import pytest
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.tables import StoredTokens
from layerscope import values
from layerscope.core import load_model
from layerscope.names import COMPONENTS
from tests.service.app.api.test_charts import CHART
from tests.support.jobs.measured_job import measured_job
from tests.support.models.tiny import BOS, add_known_activations, causal_model, save

Sessions = sessionmaker[Session]
TOKEN = re.compile(r'<span class="token ([^"]*)" title="([^"]*)">([^<]*)</span>')
LAYER, COMPONENT = 2, "mlp"


@pytest.fixture
def job(sessions: Sessions, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> UUID:
    """Layer 1 adds 300 to a unit of each BOS token, and layer 3 subtracts it: they are massive."""
    causal = causal_model()
    add_known_activations(causal, written=1, removed=3, values={5: 300.0})
    model = load_model(save(causal, tmp_path_factory.mktemp("model")))
    texts = [("a", f"<b>has two{BOS}more and more and more"), ("b", "other")]
    options = {"special_tokens": "parse", "analyses": ["logit_lens", "tokens"], "analysis_texts": 4}
    return measured_job(model, sessions, redis, texts, **options)


def rows(api: httpx.Client, job: UUID, **only: str) -> list[dict[str, str]]:
    found = csv.DictReader(api.get(f"/v1/jobs/{job}/tokens.csv").text.splitlines())
    return [row for row in found if all(row[name] == value for name, value in only.items())]


def tokens(page: str) -> list[tuple[str, ...]]:
    return [tuple(html.unescape(part) for part in token) for token in TOKEN.findall(page)]


@pytest.mark.parametrize("metric", ["relative_norm", "residual_rms"])
def test_every_token_is_shown_with_its_number(api: httpx.Client, job: UUID, metric: str) -> None:
    query: dict[str, str | int] = {"shade": metric, "component": COMPONENT, "layer": LAYER}
    page = api.get(f"/jobs/{job}/texts/0", params=query).text
    wanted = rows(api, job, ordinal="0", component=COMPONENT, layer=str(LAYER))
    found = tokens(page)
    assert len(found) == len(wanted)
    for (classes, about, string), row in zip(found, wanted, strict=True):
        assert string == row["token"].removeprefix("'").replace("Ġ", " ")
        assert ("massive" in classes) == (row["massive"] == "true")
        assert f"{metric} of {COMPONENT} {float(row[metric]):.3g}" in about
    shades = [int(classes.split("shade-")[1][0]) for classes, *_ in found]
    values = [float(row[metric]) for row in wanted]
    assert [shades[i] for i in sorted(range(len(values)), key=values.__getitem__)] == sorted(shades)


def test_the_map_has_all_layers(api: httpx.Client, job: UUID) -> None:
    page = api.get(f"/jobs/{job}/texts/0", params={"component": COMPONENT}).text
    chart = json.loads(dict(CHART.findall(page))["tokens"])
    for layer, series in enumerate(chart["series"]):
        wanted = rows(api, job, ordinal="0", component=COMPONENT, layer=str(layer))
        assert series["values"] == pytest.approx([float(row["relative_norm"]) for row in wanted], rel=5e-4)


def test_tokens_without_values_have_no_map_and_no_range(
    api: httpx.Client, sessions: Sessions, job: UUID
) -> None:
    with sessions.begin() as session:
        stored = session.scalars(select(StoredTokens).where(StoredTokens.ordinal == 0)).one()
        numbers, lens = values.decode_tokens(stored.values, len(stored.token_ids), len(COMPONENTS), True)
        stored.values = values.encode_tokens(np.full_like(numbers, np.nan), lens)
    page = api.get(f"/jobs/{job}/texts/0").text
    assert "chart-tokens" not in page
    assert "relative_norm of block in layer 0: no token has a value." in page
    assert all("relative_norm of block no value" in about for _, about, _ in tokens(page))
    other = api.get(f"/jobs/{job}/texts/1").text
    assert "chart-tokens" in other
    assert "(light) to" in other


def test_a_prediction_settles_at_the_first_layer_from_which_it_is_the_final_one(
    api: httpx.Client, job: UUID
) -> None:
    page = api.get(f"/jobs/{job}/texts/0", params={"shade": "settles"}).text
    for position, (_, about, _) in enumerate(tokens(page)):
        of_token = rows(api, job, ordinal="0", component="block", position=str(position))
        tops = [row["lens_top1"] for row in of_token]
        settled = min(layer for layer in range(len(tops)) if set(tops[layer:]) == {tops[-1]})
        assert about.removesuffix(", massive").endswith(f"the prediction settles at layer {settled}")
