"""Finds the folder of a model: a local folder, or a download from the Hugging Face hub."""

import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from layerscope.core.loading.transformers_logging import silenced_transformers
from layerscope.errors import HubUnavailable, ModelNotFound

# The files of a model. Pickled weights (*.bin, *.pth) and code (*.py) are neither downloaded nor read.
FILES = ["*.safetensors", "*.json", "tokenizer.model", "merges.txt", "*.jinja"]
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def locate(source: str, revision: str | None) -> tuple[Path, str | None]:
    """The folder that contains the model, and its commit if it comes from the hub.

    Raises: ModelNotFound; HubUnavailable if the hub does not answer.
    """
    folder = Path(source).expanduser()
    if source and folder.is_dir():  # Path("") is the current folder
        return folder, None
    if not _HUB_ID.fullmatch(source):
        raise ModelNotFound(
            f"source = {source!r} is neither an existing folder nor a valid hub id such as "
            "meta-llama/Llama-3.2-3B: correct `source` in models.toml."
        )
    try:
        with silenced_transformers():
            # One call that asks the hub once, then uses the cache, and fails immediately if neither has the
            # model. (from_pretrained tries for 23 seconds per file.)
            found = Path(snapshot_download(source, revision=revision, allow_patterns=FILES))
    except (OSError, ValueError) as error:
        raise _hub_problem(source, revision, error) from error
    return found, found.name


def _hub_problem(source: str, revision: str | None, error: Exception) -> ModelNotFound:
    if isinstance(error, GatedRepoError):
        return ModelNotFound(
            f"Access to {source} is restricted: "
            "accept its licence on the hub and set HF_TOKEN to a token that may read it."
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelNotFound(f"{source} has no revision {revision!r}: correct `revision` in models.toml.")
    if isinstance(error, RepositoryNotFoundError):
        return ModelNotFound(
            f"The hub has no model {source!r}, or the model is private: "
            "correct `source` in models.toml, or set HF_TOKEN to a token that may read it."
        )
    kind = ModelNotFound if constants.HF_HUB_OFFLINE else HubUnavailable
    return kind(
        f"{source} is not in the cache and could not be downloaded ({first_line(error)}): "
        "check the network, HF_HUB_OFFLINE and `revision`, or set `source` in models.toml to a local folder."
    )


def first_line(error: Exception) -> str:
    """The first line of an error message, or the type of an error without a message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
