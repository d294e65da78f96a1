"""What is known here about measuring texts, before anything is measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.commands.run_models import models_of_run
from app.local.stack import running_stack, uses_embedded_servers
from app.models import ModelConfig, read_models
from app.resources import model_list_files
from app.settings import Settings
from layerscope.cli.profiling.estimate import KnownModelFacts, facts_for, known_to


def known_here(settings: Settings, model: str | None, options: Mapping[str, Any]) -> KnownModelFacts:
    """From the files of the model, and from the jobs in the database. Raises: ConfigurationError."""
    with models_of_run(settings, [model] if model else []) as (complete, (name, *_)):
        config = read_models(*model_list_files(complete.models))[name]
        rate = None
        if not uses_embedded_servers(complete) or complete.home.exists():
            with running_stack(
                complete, "127.0.0.1", 0, 0, [name], log=complete.home / "logs" / "dry_run.log"
            ) as stack:
                stack.wait_until_ready()
                rate = known_to(stack.base_url, name, options).rate
        return facts_for(_folder_of(config), options, config.max_tokens, rate)


def _folder_of(config: ModelConfig) -> Path | None:
    """The folder of the model, if it is on this machine and no download is needed."""
    folder = config.folder / config.source
    return folder if folder.is_dir() else None
