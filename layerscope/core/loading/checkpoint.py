"""Loads a Llama and knows its architecture: where the layers, the attention and the MLP outputs are."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, LlamaModel

from layerscope.core.loading.transformers_logging import quiet
from layerscope.core.types import Block
from layerscope.errors import ModelError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
# What a model is made of. Pickled weights (*.bin, *.pth) and code (*.py) are neither downloaded nor read.
_FILES = ["*.safetensors", "*.json", "tokenizer.model"]
_HEAD = "lm_head.weight"
_SHARE = 0.85  # of a GPU's free memory that weights may take


@dataclass(frozen=True)
class Model:
    """A loaded model; `module` has no language model head, which only analyses need: `load_head`.

    `revision`: of a hub model the commit; of a local folder "sha256:" and 32 hexadecimal digits over the
    names and contents of its configuration, weights and tokenizer, so that it changes when any of them does.
    """

    source: str
    folder: Path  # where the files of this revision lie
    revision: str
    layers: int
    hidden_size: int
    dtype: str  # "float32", "bfloat16" or "float16"
    device: str  # "cpu" or "cuda:N"
    max_tokens: int  # max_position_embeddings: beyond it transformers gives numbers without a word of warning
    module: LlamaModel
    tokenizer: Any
    # What this machine measures with; changes speed, and numbers by rounding alone
    matmul: str = "default"  # products on a CPU: "default" (PyTorch's own) or "onednn"
    reduction: str = "eager"  # the seven sums: "eager" or "compiled"
    attention: str = "loop"  # "loop", or the name of a kernel in kernels.py


def read_model(
    source: str | Path, revision: str | None = None, dtype: str = "auto", device: str = "auto"
) -> Model:
    """Loads a Llama from a folder or the hub; safetensors only, and never code that comes with it.

    Args:
        source: a local folder, or a hub id such as "meta-llama/Llama-3.2-3B".
        revision: branch, tag or commit on the hub; a local folder has none, and ignores it.
        dtype: "float32", "bfloat16", "float16"; "auto": float32 on a CPU, on CUDA bfloat16 unless the model
            was saved in float32.
        device: "cpu", "cuda:N"; "auto": cuda:0 where there is one; a model too large for it is spread over
            all that there are (which needs the accelerate package).
    Raises: ModelError, one sentence naming what is wrong and the setting that cures it.
    """
    place = _device(device)
    if dtype != "auto" and dtype not in DTYPES:
        raise ModelError(
            f"dtype = {dtype!r} is not one of auto, {', '.join(DTYPES)}: correct it in models.toml."
        )
    folder, commit = _locate(str(source), revision)
    config = _config(folder, str(source))
    number = _dtype(dtype, config, place)
    spread = device == "auto" and _outgrows(folder, DTYPES[number], place)
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
        tokenizer=_tokenizer(folder, str(source)),
    )


def blocks(module: LlamaModel) -> list[Block]:
    """The decoder layers, in order. `post_attention_layernorm` is called with h + a, bit for bit."""
    layers: Any = module.layers
    return [Block(layer, layer.self_attn, layer.post_attention_layernorm, layer.mlp) for layer in layers]


def read_head(model: Model) -> Tensor:
    """The language model head, (V, D) in the model's dtype and on its device, V the size of the vocabulary.

    A tied head is the embedding itself; another is read from the model's files now.

    Raises: ModelError if it is neither tied nor there, or has not the embedding's shape.
    """
    embedding: Tensor = model.module.embed_tokens.weight.detach()
    for path in sorted(model.folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            stored = file.keys()  # it has no `in` of its own
            if _HEAD in stored:
                head = file.get_tensor(_HEAD).to(model.device, embedding.dtype)
                return _same_shape(head, embedding, model.source)
    if not model.module.config.tie_word_embeddings:
        raise ModelError(
            f"The weights of {model.source} are incomplete ({_HEAD} is missing): fetch them again."
        )
    return embedding


def _same_shape(head: Tensor, embedding: Tensor, source: str) -> Tensor:
    """A token id beyond the head's rows would kill a CUDA process."""
    if head.shape != embedding.shape:
        found, wanted = tuple(head.shape), tuple(embedding.shape)
        raise ModelError(f"{_HEAD} of {source} has the shape {found} instead of {wanted}: fetch it again.")
    return head


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return wanted
    if not re.fullmatch(r"cuda:\d+", wanted):
        raise ModelError(
            f"device = {wanted!r} is not one of auto, cpu, cuda:0, cuda:1, …: correct it in models.toml."
        )
    if int(wanted.removeprefix("cuda:")) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ModelError(
            f"device = {wanted!r}, but this machine has {found} CUDA devices: use auto in models.toml."
        )
    return wanted


def _outgrows(folder: Path, dtype: torch.dtype, device: str) -> bool:
    """Whether a model leaves too little of the first of several GPUs for activations."""
    if device == "cpu" or torch.cuda.device_count() < 2:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 2  # of two bytes, usually
    return weights * dtype.itemsize > _SHARE * free


def _dtype(wanted: str, config: Any, device: str) -> str:
    if wanted != "auto":
        return wanted
    return "float32" if device == "cpu" or config.dtype == torch.float32 else "bfloat16"


def _locate(source: str, revision: str | None) -> tuple[Path, str | None]:
    """The folder that holds the model, and its commit if it is the hub's."""
    folder = Path(source).expanduser()
    if source and folder.is_dir():  # Path("") is the current folder
        return folder, None
    if not _HUB_ID.fullmatch(source):
        raise ModelError(
            f"There is no folder {source!r}, and it is no hub id: correct `source` in models.toml."
        )
    try:
        with quiet():
            # One call that asks the hub once, falls back to the cache, and gives up at once where there is
            # neither. (from_pretrained retries each file for 23 seconds.)
            found = Path(snapshot_download(source, revision=revision, allow_patterns=_FILES))
    except (OSError, ValueError) as error:
        raise ModelError(_hub_problem(source, revision, error)) from error
    return found, found.name


def _hub_problem(source: str, revision: str | None, error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return (
            f"{source} is gated: accept its licence on the hub and set HF_TOKEN to a token that may read it."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{source} has no revision {revision!r}: correct `revision` in models.toml."
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"The hub has no model {source!r}, or it is private: "
            "correct `source` in models.toml, or set HF_TOKEN to a token that may read it."
        )
    return (
        f"{source} is not in the cache and could not be downloaded ({_first_line(error)}): "
        "check the network, HF_HUB_OFFLINE and `revision`, or set `source` in models.toml to a local folder."
    )


def _config(folder: Path, source: str) -> Any:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{source} has no config.json: set `source` in models.toml to a model's folder.")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a broken or foreign configuration sets off
        raise ModelError(f"The configuration of {source} cannot be read: {_first_line(error)}") from error
    if config.model_type != "llama":
        raise ModelError(f"{source} is a {config.model_type} model; only Llama models can be profiled.")
    if getattr(config, "quantization_config", None):
        raise ModelError(f"{source} is quantised: set `source` in models.toml to the unquantised model.")
    return config


def _weights(
    folder: Path, source: str, config: Any, dtype: torch.dtype, device: str, spread: bool
) -> LlamaModel:
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{source} has no *.safetensors weights, and pickled ones are not read, since they can run code: "
            "convert it with save_pretrained and set `source` in models.toml to the result."
        )
    loader: Any = LlamaModel  # with output_loading_info it returns a pair, which its annotation does not say
    try:
        with quiet():
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
        raise ModelError(f"{source} does not fit in the memory of {device}: set another `device`.") from error
    except Exception as error:  # damaged files raise anything from OSError to SafetensorError
        raise ModelError(f"The weights of {source} cannot be loaded: {_first_line(error)}") from error
    if report["missing_keys"]:  # transformers fills them with random numbers
        name = min(report["missing_keys"])
        raise ModelError(f"The weights of {source} are incomplete ({name} is missing): fetch them again.")
    return model


def _tokenizer(folder: Path, source: str) -> Any:
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # OSError, ValueError, KeyError … by what is missing
        raise ModelError(
            f"{source} has no tokenizer that can be loaded: put its tokenizer.json beside config.json."
        ) from error


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _FILES for path in folder.glob(pattern)):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return f"sha256:{digest.hexdigest()[:32]}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
