"""`models.toml` is read whole or refused with the place."""

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.models import ModelConfig, read_models
from app.resources import ROOT


def test_the_project_s_own_file_lists_its_models() -> None:
    models = read_models(ROOT / "models.toml")
    assert list(models) == ["demo", "llama-3.2-3b"]
    assert models["llama-3.2-3b"].source == "meta-llama/Llama-3.2-3B"


def test_every_key_is_read(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text(
        '[a]\nsource = "s"\nrevision = "r"\ndtype = "float16"\ndevice = "cuda:0"\n'
        'max_tokens = 5\nmatmul = "onednn"\n'
        '[b]\nsource = "t"\n'
    )
    assert read_models(file) == {
        "a": ModelConfig(
            source="s",
            revision="r",
            dtype="float16",
            device="cuda:0",
            max_tokens=5,
            matmul="onednn",
            folder=tmp_path,
        ),
        "b": ModelConfig(source="t", folder=tmp_path),
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])  # editors on Windows write the second
def test_the_file_is_utf_8_on_every_platform(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "models.toml"
    file.write_text('[a]\nsource = "modèle"\n', encoding=encoding)
    assert read_models(file)["a"].source == "modèle"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "lists no model: add a table"),
        ("[a", "Expected"),
        ("a = 1", "[a] is not a table"),
        ("[a]", "[a] source is missing"),
        ('[llama-3.2]\nsource = "s"', "[llama-3] contains a table"),
        ('["a b"]\nsource = "s"', "[a b] is not a valid model name"),
        ('[a]\nsource = ""', "[a] source: String should have at least 1 character, not ''"),
        ("[a]\nsource = 1", "[a] source: Input should be a valid string, not 1"),
        (
            '[a]\nsource = "s"\nmax_tokens = 0',
            "[a] max_tokens: Input should be greater than or equal to 1",
        ),
        (
            '[a]\nsource = "s"\nmax_tokens = -1',
            "[a] max_tokens: Input should be greater than or equal to 1",
        ),
        ('[a]\nsource = "s"\nmax_tokens = true', "[a] max_tokens: Input should be a valid integer, not True"),
        (
            '[a]\nsource = "s"\ndtype = "int8"',
            "[a] dtype: must be one of auto, float32, bfloat16, float16",
        ),
        ('[a]\nsource = "s"\nmatmul = "mkl"', "[a] matmul: must be one of default, onednn, not 'mkl'"),
        ('[a]\nsource = "s"\nfolder = "x"', "[a] folder is unknown"),
        ('[a]\nsource = "s"\nmaxtokens = 1', "[a] maxtokens is unknown; the keys are source, revision"),
    ],
)
def test_an_invalid_file_is_refused_with_the_place(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "models.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_models(file)
    assert str(file) in refused.value.detail
    assert place in refused.value.detail


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        read_models(tmp_path / "none.toml")
