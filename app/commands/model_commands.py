"""`layerscope models add`. Slow imports are in the functions that need them, to keep `--help` fast."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path


def add_model(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name under which jobs request the model.")],
    source: Annotated[str, typer.Argument(help="A folder with safetensors, or a hub id.")],
    revision: Annotated[str | None, typer.Option(help="A branch, tag or commit on the hub.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, ...")] = "auto",
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The largest number of tokens of a text that count.")
    ] = None,
) -> None:
    """Add a model to the model list of this machine."""
    from app.commands.run_models import source_of, table_of
    from app.errors import ConfigurationError
    from app.models import read_models
    from app.resources import model_list_files, model_list_location

    settings = context.obj()
    files, location = model_list_files(settings.models), model_list_location(settings.models)
    listed = read_models(*files) if all(file.exists() for file in files) else {}
    if name in listed:
        raise ConfigurationError(f"The model list already has a model {name!r}: choose another name.")
    given = {"revision": revision, "dtype": dtype, "device": device, "max_tokens": max_tokens}
    changed = {key: value for key, value in given.items() if value not in (None, "auto")}
    _append(location, table_of(name, {"source": source_of(source, listed, settings), **changed}))
    typer.echo(f"{name} is in {location}. `layerscope up --model {name}` serves it.")


def _append(file: "Path", table: str) -> None:
    """Adds the table if the list is valid with it; otherwise the file stays as it was.

    Raises: ConfigurationError.
    """
    from app.errors import ConfigurationError
    from app.models import read_models

    unfinished = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        separator = "" if not before else "\n" if before.endswith("\n") else "\n\n"
        unfinished.write_text(before + separator + table, encoding="utf-8")
        read_models(unfinished)
        unfinished.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be changed ({error.strerror}).") from error
    except ConfigurationError as error:
        raise ConfigurationError(error.detail.replace(str(unfinished), str(file))) from error
    finally:
        unfinished.unlink(missing_ok=True)
