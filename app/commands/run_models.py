"""The models of one run: names of the model list, folders, and ids of the hub."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.errors import ConfigurationError
from app.models import ModelConfig, read_models
from app.resources import model_list_files, model_list_location
from app.settings import Settings

HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
PATH = re.compile(r"[.~/\\]|[A-Za-z]:")  # how what can only be a path begins


@contextmanager
def models_of_run(settings: Settings, wanted: Sequence[str]) -> Iterator[tuple[Settings, list[str]]]:
    """The settings and the names of the wanted models; without any, the first of the list.

    A folder or hub id is added to the model list for as long as the context lasts. Jobs over HTTP can only
    name models of the list.

    Raises: ConfigurationError.
    """
    listed = read_models(*model_list_files(settings.models))
    added: dict[str, ModelConfig] = {}
    names = [_name_of(given, listed, added, settings) for given in wanted] or [next(iter(listed))]
    if not added:
        yield settings, names
        return
    with tempfile.TemporaryDirectory(prefix="layerscope-") as folder:
        file = Path(folder) / "models.toml"
        file.write_text(toml_of({**listed, **added}), encoding="utf-8")
        yield settings.model_copy(update={"models": file}), names


def _name_of(
    given: str, listed: Mapping[str, ModelConfig], added: dict[str, ModelConfig], settings: Settings
) -> str:
    """The name of a model; adds the model if it is not listed."""
    if given in listed:
        return given
    config = ModelConfig(source=source_of(given, listed, settings))
    base = re.sub(r"[^A-Za-z0-9._-]", "_", Path(config.source).name)[:60] or "model"
    name, number = base, 2
    while name in listed or (name in added and added[name] != config):
        name, number = f"{base}-{number}", number + 1
    added[name] = config
    return name


def source_of(given: str, listed: Mapping[str, ModelConfig], settings: Settings) -> str:
    """The source of a model that is not in the list: a folder, or a hub id. Raises: ConfigurationError."""
    folder = Path(given).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigurationError(f"The folder {given} is not a model: it has no config.json.")
        return str(folder.resolve())
    if folder.exists():
        raise ConfigurationError(f"{given} is not a folder. Use the folder that contains the config.json.")
    if PATH.match(given):
        raise ConfigurationError(f"The folder {given} does not exist.")
    if HUB_ID.fullmatch(given):
        return given
    raise ConfigurationError(
        f"The model list has no model {given!r}. It has {', '.join(listed)}. Use one of them, a folder, a "
        f"hub id such as meta-llama/Llama-3.2-3B, or add the model to {model_list_location(settings.models)}."
    )


def toml_of(models: Mapping[str, ModelConfig]) -> str:
    """A model list with these models. Relative folders become absolute, because the file is elsewhere."""
    tables = []
    for name, config in models.items():
        folder = config.folder / config.source
        source = str(folder.resolve()) if folder.is_dir() else config.source
        keys = {**config.model_dump(exclude={"folder"}, exclude_none=True), "source": source}
        tables.append(table_of(name, keys))
    return "\n".join(tables)


def table_of(name: str, keys: Mapping[str, object]) -> str:
    """A table of a model list. A JSON string or number is also one of TOML."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in keys.items()]
    header = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
    return f"[{header}]\n" + "".join(lines)
