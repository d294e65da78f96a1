"""`python -m worker.fetch_model --model NAME`: downloads a model into the cache that several workers share.

With `--wait` it downloads nothing, and waits until another process has done so. The workers themselves need
no access to the hub then (HF_HUB_OFFLINE=1), and never find half a model.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import constants

from app import logs
from app.errors import ConfigurationError
from app.models import ModelConfig, read_models, require_model
from app.resources import model_list_files, model_list_location
from app.settings import Settings
from layerscope.core.loading.hub import locate
from layerscope.errors import ModelError

POLL_SECONDS = 2.0

log = logging.getLogger("worker")


def main() -> int:
    parser = argparse.ArgumentParser(prog="worker.fetch_model", description=__doc__)
    parser.add_argument("--model", required=True, help="a model of the model list")
    parser.add_argument("--wait", action="store_true", help="wait until another process has downloaded it")
    arguments = parser.parse_args()
    logs.configure()
    settings = Settings()
    try:
        models = read_models(*model_list_files(settings.models))
        require_model(arguments.model, models, model_list_location(settings.models))
        config = models[arguments.model]
        wait(config) if arguments.wait else fetch(config)
    except (ConfigurationError, ModelError) as error:
        log.error("%s", error)
        return 1
    return 0


def fetch(config: ModelConfig) -> None:
    """Raises: ModelError."""
    locate(config.source, config.revision)
    mark = mark_of(config)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def wait(config: ModelConfig, pause: Callable[[float], None] = time.sleep) -> None:
    while not mark_of(config).exists():
        pause(POLL_SECONDS)


def mark_of(config: ModelConfig) -> Path:
    """The file that says that this revision is in the cache as a whole.

    The cache itself does not say so: offline, the hub's library also finds the folder of a download that has
    not ended.
    """
    name = f"{config.source}@{config.revision or 'newest'}".replace(os.sep, "--")
    return Path(constants.HF_HOME) / "layerscope" / name


if __name__ == "__main__":
    sys.exit(main())
