"""`layerscope models add`: the list stays valid."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.errors import ConfigurationError
from app.models import read_models


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "deep" / "models.toml"
    monkeypatch.setenv("LAYERSCOPE_MODELS", str(file))
    (tmp_path / "my-llama").mkdir()
    (tmp_path / "my-llama" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return file


def add(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", "add", *arguments])


def test_a_folder_and_a_hub_id_are_added(models: Path, tmp_path: Path) -> None:
    done = add("mine", "my-llama", "--dtype", "bfloat16", "--max-tokens", "100")
    assert done.output == f"mine is in {models}. `layerscope up --model mine` serves it.\n"
    models.write_text(models.read_text() + "# a comment")
    assert add("a.b", "org/llama", "--revision", "main").exit_code == 0
    found = read_models(models)
    assert (found["mine"].source, found["mine"].dtype) == (str(tmp_path / "my-llama"), "bfloat16")
    assert (found["mine"].max_tokens, found["mine"].device) == (100, "auto")
    assert (found["a.b"].source, found["a.b"].revision) == ("org/llama", "main")
    assert "# a comment" in models.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine", "org/other"), "The model list already has a model 'mine'"),
        (("b d", "org/x"), "[b d] is not a valid model name"),
        (("x", "org/x", "--dtype", "float8"), "dtype: must be one of"),
        (("x", "nothing"), "The model list has no model 'nothing'"),
    ],
)
def test_what_is_wrong_changes_nothing(models: Path, arguments: tuple[str, ...], message: str) -> None:
    add("mine", "my-llama")
    before = models.read_text()
    done = add(*arguments)
    assert isinstance(done.exception, ConfigurationError)
    assert message in done.exception.detail
    assert ".new" not in done.exception.detail
    assert models.read_text() == before
    assert [file.name for file in models.parent.iterdir()] == ["models.toml"]
