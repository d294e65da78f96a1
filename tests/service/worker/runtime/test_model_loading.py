"""A worker loads its model once and records what it computes with."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, sessionmaker

from app.models import ModelConfig
from app.tables import LoadedModel
from layerscope.core import load_model
from tests.support.models.tiny import causal_model, save
from worker.runtime import model_loading
from worker.runtime.model_loading import load, record

FACTS = {"source": "demo", "machine": "A", "matmul": "onednn", "reduction": "eager"}
HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(causal_model(num_hidden_layers=2), tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def config(folder: Path) -> ModelConfig:
    return ModelConfig(source=str(folder), device="cpu")


def stored(sessions: sessionmaker[Session], name: str) -> LoadedModel:
    with sessions() as session:
        return session.get_one(LoadedModel, name)


def test_the_facts_of_the_last_worker_are_stored(sessions: sessionmaker[Session]) -> None:
    record(sessions, "demo", FACTS)
    first = stored(sessions, "demo")
    assert first.measured_with == FACTS
    other = FACTS | {"machine": "B", "matmul": "default"}
    record(sessions, "demo", other)
    second = stored(sessions, "demo")
    assert second.measured_with == other
    assert second.loaded_at > first.loaded_at


def test_the_facts_are_stored_in_one_statement(engine: Engine, sessions: sessionmaker[Session]) -> None:
    """PostgreSQL locks the row in this statement, so two workers that start together cannot collide."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    record(sessions, "demo", FACTS)
    event.remove(engine, "before_cursor_execute", note)
    (stored,) = [statement for statement in statements if "INTO model " in statement]
    assert "ON CONFLICT (name) DO UPDATE" in stored
    assert not [statement for statement in statements if "FROM model " in statement]


def test_the_facts_describe_the_loaded_model(
    sessions: sessionmaker[Session], config: ModelConfig, folder: Path
) -> None:
    model, facts = load("tiny", config, sessions)
    assert stored(sessions, "tiny").measured_with == facts
    assert facts["source"] == str(folder)
    for fact in ("revision", "layers", "hidden_size", "dtype", "device", "attention", "matmul", "reduction"):
        assert facts[fact] == getattr(model, fact), fact


def test_every_worker_chooses_the_same_and_loads_the_model_once(
    sessions: sessionmaker[Session], config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []

    def counted(*given: Any, **named: Any) -> Any:
        loads.append(named["matmul"])
        return load_model(*given, **named)

    monkeypatch.setattr(model_loading, "load_model", counted)
    _, first = load("tiny", config, sessions)
    record(sessions, "tiny", first | {"matmul": "default" if first["matmul"] == "onednn" else "onednn"})
    _, second = load("tiny", config, sessions)  # does not depend on what another worker recorded
    assert second == first
    assert loads == ["auto", "auto"]


@pytest.mark.skipif(not HAS_ONEDNN, reason="this PyTorch has only one product")
@pytest.mark.parametrize("product", ["default", "onednn"])
def test_the_model_list_can_choose_the_matrix_product(
    sessions: sessionmaker[Session], folder: Path, product: Any
) -> None:
    config = ModelConfig(source=str(folder), device="cpu", matmul=product)
    model, facts = load("tiny", config, sessions)
    assert (model.matmul, facts["matmul"]) == (product, product)


def test_a_relative_folder_belongs_to_the_folder_of_the_model_list(
    sessions: sessionmaker[Session], folder: Path
) -> None:
    config = ModelConfig(source=folder.name, device="cpu", folder=folder.parent)
    model, facts = load("tiny", config, sessions)
    assert (model.source, facts["source"]) == (str(folder), folder.name)


def test_the_token_limit_is_the_smaller_one(sessions: sessionmaker[Session], folder: Path) -> None:
    limits = {}
    for limit in (100, 10_000, None):
        _, facts = load("tiny", ModelConfig(source=str(folder), device="cpu", max_tokens=limit), sessions)
        limits[limit] = facts["max_tokens"]
    assert limits == {100: 100, 10_000: 256, None: 256}
