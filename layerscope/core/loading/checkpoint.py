"""Reads a model from its files: configuration, weights, tokenizer."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, PreTrainedModel

from layerscope.core.loading.checks.architecture import read_config, unusable_config
from layerscope.core.loading.checks.context_length import context_length
from layerscope.core.loading.checks.weights import (
    check_weights,
    count_weights,
    incomplete,
    refuse_adapter,
    refuse_pointers,
    stored_tensors,
    weight_files,
)
from layerscope.core.loading.device import check_dtype, choose_device, choose_dtype, exceeds_memory
from layerscope.core.loading.hub import FILES, first_line, locate
from layerscope.core.loading.tokenizers.read_tokenizer import read_tokenizer
from layerscope.core.loading.transformers_logging import silenced_transformers
from layerscope.core.model import DTYPES, Model
from layerscope.errors import ModelError


def read_model(
    source: str | Path, revision: str | None = None, dtype: str = "auto", device: str = "auto"
) -> Model:
    """Loads a model from a folder or the hub. Reads only safetensors, and never runs code of the model.

    Args:
        source: a local folder, or a hub id such as "meta-llama/Llama-3.2-3B".
        revision: a branch, tag or commit on the hub; ignored for a local folder.
        dtype: "float32", "bfloat16", "float16" or "auto" (float32 on a CPU; bfloat16 on CUDA, unless the
            model was saved in float32).
        device: "cpu", "cuda:N" or "auto" (cuda:0 if available). With "auto" a model that is too large for the
            first GPU is spread over all GPUs, which requires the accelerate package.
    Raises: ModelError, one sentence with the problem and the setting that solves it.
    """
    place = choose_device(device)
    check_dtype(dtype)
    folder, commit = locate(str(source), revision)
    refuse_pointers(str(source), folder)
    refuse_adapter(str(source), folder)
    config, family = read_config(str(source), folder)
    stored = stored_tensors(str(source), weight_files(str(source), folder))
    check_weights(str(source), family.name, config, stored, _needed(str(source), config))
    number = choose_dtype(dtype, config.dtype, place)
    spread = device == "auto" and exceeds_memory(count_weights(stored), DTYPES[number], place)
    module = _weights(folder, str(source), config, DTYPES[number], place, spread)
    return Model(
        source=str(source),
        folder=folder,
        revision=commit or _fingerprint(folder),
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        dtype=number,
        device=place,
        max_tokens=context_length(config),
        module=module,
        tokenizer=read_tokenizer(folder, str(source), config.vocab_size),
    )


def _needed(source: str, config: Any) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights that a model with this configuration has, without its head."""
    auto: Any = AutoModel
    try:
        with silenced_transformers(), torch.device("meta"):  # its messages come when the config is read
            module = auto.from_config(config, trust_remote_code=False)
    except Exception as error:  # an unknown activation function, a shape that does not fit, and others
        raise ModelError(unusable_config(source, error)) from error
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def _weights(
    folder: Path, source: str, config: Any, dtype: torch.dtype, device: str, spread: bool
) -> PreTrainedModel:
    try:
        with silenced_transformers():
            module, report = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **({"device_map": "auto"} if spread else {}),
            )
        model: PreTrainedModel = (module if spread else module.to(device)).eval()
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{source} does not fit in the memory of {device}: set another `device` in models.toml."
        ) from error
    except Exception as error:  # damaged files raise anything from OSError to SafetensorError
        cause = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(
            f"The weights of {source} cannot be loaded ({cause}): download them again."
        ) from error
    if report["missing_keys"]:  # transformers fills them with random numbers
        raise ModelError(incomplete(source, min(report["missing_keys"]), config))
    return model


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in FILES for path in folder.glob(pattern)):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return f"sha256:{digest.hexdigest()[:32]}"
