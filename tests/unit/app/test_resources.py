"""Where the migrations, the sample texts and the model list are: in a clone and in an installed package."""

from pathlib import Path

import pytest

from app import resources
from app.models import read_models

USERS_FILE = Path("layerscope") / "models.toml"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As in an installed package. Returns the location of the user's model list, which does not exist yet."""
    monkeypatch.setattr(resources, "IS_CLONE", False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # Linux
    monkeypatch.setenv("HOME", str(tmp_path))  # macOS
    return resources.model_list_location(None)


def test_a_clone_has_everything_at_its_root() -> None:
    assert resources.IS_CLONE
    assert Path(__file__).is_relative_to(resources.ROOT)
    assert (resources.MIGRATIONS / "env.py").is_file()
    assert sorted(file.stem for file in resources.SAMPLES.glob("*.json")) == [
        "cpp",
        "finance",
        "numbers",
        "python",
    ]
    assert resources.model_list_files(None) == (resources.ROOT / "models.toml",)


def test_the_setting_takes_precedence(tmp_path: Path, installed: Path) -> None:
    installed.parent.mkdir(parents=True)
    installed.touch()
    chosen = tmp_path / "chosen.toml"
    assert resources.model_list_location(chosen) == chosen
    assert resources.model_list_files(chosen) == (chosen,)


def test_a_users_file_in_the_configuration_directory_extends_the_built_in_list(
    tmp_path: Path, installed: Path
) -> None:
    assert installed.is_relative_to(tmp_path)
    assert installed.parts[-2:] == USERS_FILE.parts
    assert resources.model_list_files(None) == (resources.MODELS,)
    installed.parent.mkdir(parents=True)
    installed.write_text('[mine]\nsource = "my-llama"\n[demo]\nsource = "other"\n')
    models = read_models(*resources.model_list_files(None))
    assert list(models) == ["demo", "llama-3.2-3b", "mine"]
    assert (models["demo"].source, models["demo"].folder) == ("other", installed.parent)
    assert models["mine"].folder == installed.parent
    assert models["llama-3.2-3b"].folder == resources.ROOT


def test_a_users_file_may_be_empty(installed: Path) -> None:
    installed.parent.mkdir(parents=True)
    installed.write_text("# nothing yet\n")
    assert list(read_models(*resources.model_list_files(None))) == ["demo", "llama-3.2-3b"]
