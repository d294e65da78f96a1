"""Reads a Llama from its files: configuration, weights, tokenizer."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, LlamaModel

from layerscope.core.loading.device import check_dtype, choose_device, choose_dtype, exceeds_memory
from layerscope.core.loading.hub import FILES, first_line, locate
from layerscope.core.loading.tokenizers.read_tokenizer import read_tokenizer
from layerscope.core.loading.transformers_logging import silenced_transformers
from layerscope.core.model import DTYPES, Model
from layerscope.errors import ModelError


def read_model(
    source: str | Path, revision: str | None = None, dtype: str = "auto", device: str = "auto"
) -> Model:
    """Loads a Llama from a folder or the hub. Reads only safetensors, and never runs code of the model.

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
    config = _config(folder, str(source))
    number = choose_dtype(dtype, config.dtype, place)
    spread = device == "auto" and exceeds_memory(folder, DTYPES[number], place)
    module = _weights(folder, str(source), config, DTYPES[number], place, spread)
    return Model(
        source=str(source),
        folder=folder,
        revision=commit or _fingerprint(folder),
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        dtype=number,
        device=place,
        max_tokens=config.max_position_embeddings,
        module=module,
        tokenizer=read_tokenizer(folder, str(source), config.vocab_size),
    )


def _config(folder: Path, source: str) -> Any:
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{source} has no config.json: set `source` in models.toml to a folder that contains a model."
        )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a damaged or unknown configuration can raise any exception
        raise ModelError(f"The configuration of {source} cannot be read: {first_line(error)}") from error
    if config.model_type != "llama":
        raise ModelError(f"{source} is a {config.model_type} model. Layerscope supports only Llama models.")
    if getattr(config, "quantization_config", None):
        raise ModelError(f"{source} is quantised: set `source` in models.toml to the unquantised model.")
    return config


def _weights(
    folder: Path, source: str, config: Any, dtype: torch.dtype, device: str, spread: bool
) -> LlamaModel:
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{source} has no *.safetensors weights. Pickled weights are not read because they can run code: "
            "convert the model with save_pretrained, and set `source` in models.toml to the result."
        )
    loader: Any = LlamaModel  # with output_loading_info it returns a pair, which its annotation does not say
    try:
        with silenced_transformers():
            module, report = loader.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **({"device_map": "auto"} if spread else {}),
            )
        model: LlamaModel = (module if spread else module.to(device)).eval()
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{source} does not fit in the memory of {device}: set another `device` in models.toml."
        ) from error
    except Exception as error:  # damaged files raise anything from OSError to SafetensorError
        raise ModelError(f"The weights of {source} cannot be loaded: {first_line(error)}") from error
    if report["missing_keys"]:  # transformers fills them with random numbers
        name = min(report["missing_keys"])
        raise ModelError(f"The weights of {source} are incomplete ({name} is missing): download them again.")
    return model


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in FILES for path in folder.glob(pattern)):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return f"sha256:{digest.hexdigest()[:32]}"
