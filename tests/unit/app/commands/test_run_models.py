"""The models of one run: names, folders and hub ids."""

import json
import re
from pathlib import Path

import pytest

from app.commands.run_models import models_of_run
from app.errors import ConfigurationError
from app.models import ModelConfig, read_models
from app.resources import ROOT
from app.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", models=ROOT / "models.toml")


def model_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({}))
    return path


def test_names_of_the_list_change_nothing(settings: Settings) -> None:
    with models_of_run(settings, ["llama-3.2-3b", "demo"]) as (complete, names):
        assert complete is settings
        assert names == ["llama-3.2-3b", "demo"]


def test_without_a_model_it_is_the_first_of_the_list(settings: Settings) -> None:
    with models_of_run(settings, []) as (_, names):
        assert names == ["demo"]


def test_a_folder_and_a_hub_id_are_added_for_the_run(settings: Settings, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / 'my "best" model')
    with models_of_run(settings, [str(folder), "org/llama-7B", "demo"]) as (complete, names):
        assert names == ["my__best__model", "llama-7B", "demo"]
        assert complete.models is not None
        models = read_models(complete.models)
        file = complete.models
    assert not file.exists()
    assert list(models) == ["demo", "llama-3.2-3b", "my__best__model", "llama-7B"]
    assert models["my__best__model"].source == str(folder)
    assert models["llama-7B"].source == "org/llama-7B"
    assert models["demo"].source == str(ROOT / "demo" / "model")
    assert models["llama-3.2-3b"].source == "meta-llama/Llama-3.2-3B"


def test_the_other_keys_of_the_list_are_kept(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[a]\nsource = "x/y"\ndtype = "float16"\nmax_tokens = 5\n')
    settings = Settings(home=tmp_path / "home", models=tmp_path / "models.toml")
    with models_of_run(settings, ["org/b"]) as (complete, _):
        assert complete.models is not None
        found = read_models(complete.models)["a"]
        assert found == ModelConfig(
            source="x/y", dtype="float16", max_tokens=5, folder=complete.models.parent
        )


def test_equal_names_of_different_models_are_told_apart(settings: Settings, tmp_path: Path) -> None:
    wanted = [str(model_folder(tmp_path / parent / "demo")) for parent in ("a", "b")]
    with models_of_run(settings, [*wanted, wanted[0]]) as (_, names):
        assert names == ["demo-2", "demo-3", "demo-2"]


def test_what_is_no_model_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    with (
        pytest.raises(ConfigurationError, match=r"is not a model: it has no config\.json"),
        models_of_run(settings, [str(tmp_path / "texts")]),
    ):
        pass
    with (
        pytest.raises(ConfigurationError, match=r"no model 'gpt'. It has demo, llama-3\.2-3b"),
        models_of_run(settings, ["gpt"]),
    ):
        pass


@pytest.mark.parametrize("given", ["./my-lama", "../my-lama", "~/my-lama", "/data/my-lama", "C:\\my-lama"])
def test_a_path_without_a_folder_is_not_taken_for_a_hub_id(settings: Settings, given: str) -> None:
    with (
        pytest.raises(ConfigurationError, match=re.escape(f"The folder {given} does not exist.")),
        models_of_run(settings, [given]),
    ):
        pass


@pytest.mark.parametrize("given", ["./x.gguf", "x.gguf"])
def test_a_file_is_not_called_a_missing_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "x.gguf").touch()
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(ConfigurationError, match=f"^{re.escape(given)} is not a folder"),
        models_of_run(settings, [given]),
    ):
        pass
