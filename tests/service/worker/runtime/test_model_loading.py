"""Workers of one model agree on what can be chosen by timing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from sqlalchemy import Connection, Engine, event, insert
from sqlalchemy.orm import Session, sessionmaker

from app.models import ModelConfig
from app.settings import Settings
from app.tables import LoadedModel
from layerscope.core import load_model
from tests.support.tiny import causal_model, save
from worker.runtime import model_loading
from worker.runtime.model_loading import agree, load

FOUND = {"source": "demo", "machine": "A", "matmul": "onednn", "reduction": "eager"}


def test_the_first_worker_chooses_for_all_of_its_kind(sessions: sessionmaker[Session]) -> None:
    assert agree(sessions, "demo", FOUND) == FOUND
    assert agree(sessions, "demo", FOUND | {"matmul": "default"}) == FOUND
    with sessions() as session:
        assert session.get_one(LoadedModel, "demo").measured_with == FOUND


def test_another_machine_or_model_chooses_anew(sessions: sessionmaker[Session]) -> None:
    agree(sessions, "demo", FOUND)
    other = FOUND | {"machine": "B", "matmul": "default"}
    assert agree(sessions, "demo", other) == other


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    folder = save(causal_model(num_hidden_layers=2), tmp_path_factory.mktemp("tiny"))
    return ModelConfig(source=str(folder), device="cpu")


@contextmanager
def overtaken(engine: Engine, row: dict[str, Any]) -> Iterator[None]:
    """Another worker writes the row just before we do."""
    others: list[dict[str, Any]] = []

    def overtake(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO model") and not others:
            others.append(row)
            with engine.begin() as other:
                other.execute(insert(LoadedModel).values(name="tiny", measured_with=row))

    event.listen(engine, "before_cursor_execute", overtake)
    yield
    event.remove(engine, "before_cursor_execute", overtake)
    assert others == [row]


HAS_TWO_PRODUCTS: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


@pytest.mark.skipif(not HAS_TWO_PRODUCTS, reason="there is one product to choose from")
@pytest.mark.parametrize("choice", ["default", "onednn"])
def test_a_worker_measures_with_what_was_chosen_before_it(
    engine: Engine, sessions: sessionmaker[Session], settings: Settings, config: ModelConfig, choice: str
) -> None:
    _, facts = load("tiny", config, settings, sessions)
    chosen = facts | {"matmul": choice}
    with sessions.begin() as session:
        session.get_one(LoadedModel, "tiny").measured_with = chosen
    model, facts = load("tiny", config, settings, sessions)
    assert (model.matmul, facts) == (choice, chosen)
    with sessions.begin() as session:
        session.delete(session.get_one(LoadedModel, "tiny"))
    with overtaken(engine, chosen):
        model, facts = load("tiny", config, settings, sessions)
    assert (model.matmul, facts) == (choice, chosen)


@pytest.mark.skipif(not HAS_TWO_PRODUCTS, reason="there is one product to choose from")
def test_what_was_chosen_before_is_asked_for_before_the_model_is_loaded(
    sessions: sessionmaker[Session],
    settings: Settings,
    config: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, facts = load("tiny", config, settings, sessions)
    with sessions.begin() as session:
        other = "default" if facts["matmul"] == "onednn" else "onednn"
        session.get_one(LoadedModel, "tiny").measured_with = facts | {"matmul": other}
    asked = []

    def noted(*given: Any, **named: Any) -> Any:
        asked.append(named.get("matmul"))
        return load_model(*given, **named)

    monkeypatch.setattr(model_loading, "load_model", noted)
    load("tiny", config, settings, sessions)
    assert asked == [other]
