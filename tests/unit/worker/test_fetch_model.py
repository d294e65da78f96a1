"""Fetching a model into the cache that workers share, and waiting for it."""

import shutil
import sys
from pathlib import Path

import pytest

from app.models import ModelConfig
from app.resources import ROOT
from layerscope.core import load_model
from layerscope.errors import ModelNotFound
from worker.fetch_model import fetch, main, wait

SOURCE, REVISION = "layers/tiny", "0123456789abcdef0123456789abcdef01234567"
TINY = ModelConfig(source=SOURCE, revision="main")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the hub's library, with one model in its layout, and no access to the hub."""
    repository = tmp_path / "hub" / f"models--{SOURCE.replace('/', '--')}"
    shutil.copytree(ROOT / "demo" / "model", repository / "snapshots" / REVISION)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


class Waits(Exception):
    pass


def is_complete(config: ModelConfig) -> bool:
    def give_up(seconds: float) -> None:
        raise Waits

    try:
        wait(config, give_up)
    except Waits:
        return False
    return True


def test_a_model_is_complete_when_it_was_fetched() -> None:
    """Not when its folder exists, which is so from the beginning of a download."""
    assert load_model(SOURCE, "main", device="cpu").revision == REVISION
    assert not is_complete(TINY)
    pauses = []

    def fetch_meanwhile(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            fetch(TINY)

    wait(TINY, fetch_meanwhile)
    assert len(pauses) == 3
    assert is_complete(TINY)


def test_another_revision_is_not_complete() -> None:
    fetch(TINY)
    other = ModelConfig(source=SOURCE, revision="other")
    assert not is_complete(other)
    with pytest.raises(ModelNotFound, match=f"{SOURCE} is not in the cache"):
        fetch(other)
    assert not is_complete(other)


@pytest.mark.parametrize(("name", "code"), [("tiny", 0), ("other", 1)])
def test_the_command_ends_with_0_only_if_the_model_is_there(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    models = home / "models.toml"
    models.write_text(f'[tiny]\nsource = "{SOURCE}"\nrevision = "main"\n')
    monkeypatch.setenv("LAYERSCOPE_MODELS", str(models))
    monkeypatch.setattr("app.logs.configure", lambda: None)  # it would change the log of the other tests
    for options in ([], ["--wait"] if code == 0 else []):
        monkeypatch.setattr(sys, "argv", ["worker.fetch_model", "--model", name, *options])
        assert main() == code
