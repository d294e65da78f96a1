"""Where the files outside the packages are: the migrations, the sample texts, the model list.

In a clone of the repository they are at its root. A wheel contains them in `app/data` (see pyproject.toml).
"""

from pathlib import Path

import platformdirs

_DATA_OF_WHEEL = Path(__file__).resolve().parent / "data"

IS_CLONE = not _DATA_OF_WHEEL.is_dir()
ROOT = Path(__file__).resolve().parents[1] if IS_CLONE else _DATA_OF_WHEEL

MIGRATIONS = ROOT / "migrations"
SAMPLES = ROOT / "samples"
MODELS = ROOT / "models.toml"  # it names the demo model by a path relative to itself


def model_list_location(chosen: Path | None) -> Path:
    """The file to which a user adds a model. It may not exist yet.

    `chosen` is the setting LAYERSCOPE_MODELS. If it is unset, a clone uses its own `models.toml`, and an
    installed package uses a file in the platform's configuration directory.
    """
    if chosen is not None:
        return chosen
    if IS_CLONE:
        return MODELS
    return platformdirs.user_config_path("layerscope", appauthor=False) / "models.toml"


def model_list_files(chosen: Path | None) -> tuple[Path, ...]:
    """The files of the model list. The file in the configuration directory extends the built-in list."""
    location = model_list_location(chosen)
    if chosen is not None or IS_CLONE:
        return (location,)
    return (MODELS, location) if location.exists() else (MODELS,)
