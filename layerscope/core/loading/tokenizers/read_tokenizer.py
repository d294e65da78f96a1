"""Reads the tokenizer of a model from its folder.

tokenizer.json defines the tokenizer. transformers rebuilds tokenizers of some classes (LlamaTokenizer,
GPT2Tokenizer) from the vocabulary alone, without the normalizer and the pre-tokenizer of the file. The model
would then read other ids than it was trained with.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from layerscope.core.loading.hub import first_line
from layerscope.core.loading.tokenizers.added_tokens import follow_flags
from layerscope.core.loading.tokenizers.probe import same_ids
from layerscope.core.loading.tokenizers.sentencepiece_model import read_sentencepiece
from layerscope.core.loading.transformers_logging import silenced_transformers
from layerscope.errors import ModelError

CONFIG = "tokenizer_config.json"
_FEWEST = 0.01  # the smallest share of a model's vocabulary that can be its tokenizer


def read_tokenizer(folder: Path, source: str, vocabulary_size: int) -> Any:
    """The tokenizer, an object of transformers whose backend gives the ids of the checkpoint.

    Args:
        source: what the folder is called in errors.
        vocabulary_size: the number of rows of the model's embedding.
    Raises: ModelError, one sentence with the problem and its solution.
    """
    settings = _settings(folder, source)
    try:
        with silenced_transformers():
            tokenizer, settings = _read(folder, source, settings)
            backend = tokenizer.backend_tokenizer
    except ModelError:
        raise
    except Exception as error:  # damaged files raise anything
        raise ModelError(
            f"The tokenizer of {source} cannot be read ({first_line(error)}): "
            "download its tokenizer files again."
        ) from error
    backend.no_truncation()
    backend.no_padding()
    follow_flags(tokenizer, settings, source)
    _check_size(backend, source, vocabulary_size)
    return tokenizer


def _settings(folder: Path, source: str) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{CONFIG} of {source} is not valid JSON ({first_line(error)}): download it again. "
            "If you delete it, tokenizer.json alone defines the tokenizer."
        ) from error
    if not isinstance(settings, dict):
        raise ModelError(f"{CONFIG} of {source} is not a JSON object: download it again.")
    return settings


def _read(folder: Path, source: str, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The tokenizer, and the settings that the flags for added tokens are read from."""
    if (folder / "tokenizer.json").is_file():
        return _from_json(folder, source), settings
    if (folder / "tokenizer.model").is_file():
        tokenizer = read_sentencepiece(folder, source)
        # These are the defaults of LlamaTokenizer, the class of the models with such a file.
        defaults = {"add_bos_token": tokenizer.bos_token is not None, "add_eos_token": False}
        return tokenizer, defaults | settings
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return _from_vocabulary(folder, source, settings), settings
    raise ModelError(
        f"{source} has no tokenizer that can be loaded: put its tokenizer.json (or tokenizer.model, or "
        "vocab.json and merges.txt) into the folder that contains config.json."
    )


def _from_vocabulary(folder: Path, source: str, settings: dict[str, Any]) -> Any:
    """The tokenizer of vocab.json and merges.txt. Its class decides where a text is split into words."""
    remedy = "put the tokenizer.json of the model into its folder"
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # classes that need other files raise anything
        raise ModelError(
            f"transformers makes no tokenizer of vocab.json and merges.txt of {source} "
            f"({first_line(error)}): {remedy}."
        ) from error
    wanted, made = settings.get("tokenizer_class"), type(tokenizer).__name__
    if wanted is not None and str(wanted).removesuffix("Fast") != made.removesuffix("Fast"):
        raise ModelError(
            f"{CONFIG} of {source} names the class {wanted}, but transformers makes a {made} of its "
            f"vocab.json and merges.txt, which may split texts at other places: {remedy}."
        )
    return tokenizer


def _from_json(folder: Path, source: str) -> Any:
    path = folder / "tokenizer.json"
    try:
        file = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain exceptions
        raise ModelError(
            f"tokenizer.json of {source} cannot be read ({first_line(error)}): download it again."
        ) from error
    tokenizer = _with_settings(folder, source)
    if same_ids(tokenizer.backend_tokenizer, file):
        return tokenizer
    wrapper: Any = PreTrainedTokenizerFast
    return wrapper(
        tokenizer_object=file,
        chat_template=tokenizer.chat_template,
        **{
            name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
        },
    )


def _with_settings(folder: Path, source: str) -> Any:
    """The tokenizer of the file with special tokens and chat template of the other files."""
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # a wrong type in one of the files raises anything
        raise ModelError(
            f"The settings of the tokenizer of {source} are invalid ({first_line(error)}): download "
            f"{CONFIG} and special_tokens_map.json again. If you delete them, tokenizer.json alone defines "
            "the tokenizer."
        ) from error


def _check_size(backend: Tokenizer, source: str, vocabulary_size: int) -> None:
    """Classes of transformers that do not find their files give a tokenizer of the special tokens alone."""
    specials = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    ordinary = len(backend.get_vocab(with_added_tokens=False).keys() - specials)
    if ordinary < max(1, _FEWEST * vocabulary_size):
        raise ModelError(
            f"The tokenizer of {source} has only {ordinary} tokens, but the model has {vocabulary_size}: "
            "its files are missing or were saved without a vocabulary. Download tokenizer.json again."
        )
