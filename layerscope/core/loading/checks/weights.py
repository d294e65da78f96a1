"""Which files contain the weights of a model, and whether its configuration describes these weights."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from layerscope.core.loading.hub import FILES, first_line
from layerscope.errors import ModelError

_FILE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_POINTER = b"version https://git-lfs.github.com/spec/"

_FLOATS = ("F64", "F32", "F16", "BF16")
# Computed from the configuration; old versions of transformers saved them.
_HARMLESS = re.compile(r"(^|\.)rotary_emb\.(inv_freq|cos_cached|sin_cached)$")
# Heads that read the final residual; they are outside the layers.
_HEADS = ("lm_head.", "score.", "classifier.", "qa_outputs.", "v_head.")
_WRAPPERS = {
    "_orig_mod.": "a model compiled by torch.compile",
    "module.": "a DataParallel model",
    "base_model.": "a PEFT model",
}


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its dtype as safetensors names it, and its shape."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


def refuse_pointers(source: str, folder: Path) -> None:
    """Raises: ModelError if a file is only the pointer that git-lfs puts in its place."""
    for path in sorted(path for pattern in FILES for path in folder.glob(pattern)):
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise ModelError(
                    f"{path.name} of {source} is a pointer of git-lfs instead of the file: "
                    "run `git lfs pull` in its folder."
                )


def refuse_adapter(source: str, folder: Path) -> None:
    """Raises: ModelError if the folder contains an adapter, which may or may not belong to the model."""
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{source} contains a PEFT adapter (adapter_config.json) that is not part of its weights: "
            "merge it (merge_and_unload, save_pretrained), or remove its files."
        )


def weight_files(source: str, folder: Path) -> list[Path]:
    """The files that transformers reads: one file, or else those that the index names.

    Raises: ModelError if there are none, or if the index is damaged.
    """
    if (folder / _FILE).is_file():
        return [folder / _FILE]
    if (folder / _INDEX).is_file():
        return _shards(source, folder)
    if found := sorted(folder.glob("*.safetensors")):
        raise ModelError(
            f"{source} has {found[0].name} but neither {_FILE} nor {_INDEX}: convert the model with "
            "save_pretrained, and set `source` in models.toml to the result."
        )
    raise ModelError(
        f"{source} has no *.safetensors weights. Pickled weights are not read because they can run code: "
        "convert the model with save_pretrained, and set `source` in models.toml to the result."
    )


def _shards(source: str, folder: Path) -> list[Path]:
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        names = sorted({str(name) for name in index["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{_INDEX} of {source} is damaged: download it again.") from error
    paths = [folder / name for name in names]
    if any(path.parent != folder for path in paths):  # the revision does not depend on other folders
        raise ModelError(f"{_INDEX} of {source} names files of other folders: put them into its folder.")
    for path in paths:
        if not path.is_file():
            raise ModelError(
                f"The weights of {source} are incomplete ({path.name} is missing): download them again."
            )
    return paths


def stored_tensors(source: str, files: Iterable[Path]) -> dict[str, Stored]:
    """The tensors in the files, by name; reads only the headers. Raises: ModelError for a damaged file."""
    found: dict[str, Stored] = {}
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118, the file object is not iterable
                    part = file.get_slice(name)
                    if name in found:
                        raise ModelError(
                            f"{name} of {source} is in {found[name].file.name} and in {path.name}: "
                            "remove one of the files."
                        )
                    found[name] = Stored(path, part.get_dtype(), tuple(part.get_shape()))
        except ModelError:
            raise
        except Exception as error:  # SafetensorError, OSError and others
            raise ModelError(
                f"The weights of {source} cannot be loaded ({path.name}: {first_line(error)}): "
                "download them again."
            ) from error
    return found


def count_weights(stored: dict[str, Stored]) -> int:
    """How many numbers the files contain."""
    return sum(prod(tensor.shape) for tensor in stored.values())


def check_weights(
    source: str, family: str, config: Any, stored: dict[str, Stored], needed: dict[str, tuple[int, ...]]
) -> None:
    """Compares the files with the model that the configuration describes.

    Args:
        stored: the result of `stored_tensors`.
        needed: the names and shapes of the weights of the model without a head.
    Raises: ModelError for the first tensor that the model would ignore, whose numbers are not floating-point
        numbers, or that has another shape. Missing tensors are found when the model is loaded.
    """
    _refuse_wrappers(source, stored)
    prefix = "model." if any(name.startswith("model.") for name in stored) else ""
    for name, tensor in stored.items():
        if _HARMLESS.search(name):
            continue
        inner = name.removeprefix(prefix) if name.startswith(prefix) else None
        _refuse_integers(source, name, tensor)
        if inner in needed:
            _refuse_shape(source, config, name, tensor.shape, needed[inner])
        elif not name.startswith(_HEADS):
            raise _unexpected(source, family, config, name)


def incomplete(source: str, name: str, config: Any) -> str:
    """The message for a weight that is not in the files."""
    if name == "embed_tokens.weight" and config.tie_word_embeddings:
        remedy = (
            "download them again. If the embedding is stored as lm_head.weight, to which it is tied, load "
            "the model with AutoModelForCausalLM and save it with save_pretrained"
        )
    else:
        remedy = "download them again"
    return f"The weights of {source} are incomplete ({name} is missing): {remedy}."


def _refuse_wrappers(source: str, stored: Iterable[str]) -> None:
    for name in stored:
        for prefix, origin in _WRAPPERS.items():
            if name.startswith(prefix) or (prefix == "_orig_mod." and prefix in name):
                raise ModelError(
                    f"The weights of {source} have names such as {name}, which are those of {origin}: "
                    "save the model inside it with save_pretrained (for PEFT after merge_and_unload)."
                )


def _refuse_integers(source: str, name: str, tensor: Stored) -> None:
    if tensor.dtype not in _FLOATS:
        raise ModelError(
            f"{name} of {source} is stored as {tensor.dtype}, so the model is quantised: "
            "set `source` in models.toml to the unquantised model."
        )


def _refuse_shape(
    source: str, config: Any, name: str, found: tuple[int, ...], needed: tuple[int, ...]
) -> None:
    if found == needed:
        return
    if name.endswith("embed_tokens.weight") and found[1:] == needed[1:]:
        raise ModelError(
            f"{name} of {source} has {found[0]} rows, but vocab_size in config.json is {config.vocab_size}: "
            f"set vocab_size to {found[0]} if the vocabulary was resized after training; otherwise download "
            "the model again."
        )
    raise ModelError(
        f"The weights of {source} cannot be loaded: {name} has shape {found}, but config.json describes "
        f"{needed}. The files do not belong together: download them again."
    )


def _unexpected(source: str, family: str, config: Any, name: str) -> ModelError:
    layer = re.search(r"(?:^|\.)layers\.(\d+)\.", name)
    if layer and int(layer[1]) >= config.num_hidden_layers:
        advice = (
            f"num_hidden_layers is {config.num_hidden_layers}; set it to the number of layers in the files"
        )
    elif name.endswith(".bias") and hasattr(config, "attention_bias"):
        advice = "set attention_bias or mlp_bias to true if the model was trained with biases"
    else:
        advice = (
            "correct model_type and the other settings in config.json, or remove the weight from the files"
        )
    return ModelError(
        f"The weights of {source} contain {name}, which a {family} model with this config.json does not use, "
        f"so the numbers would be those of another model: {advice}."
    )
