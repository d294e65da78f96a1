"""Counts the tokens of texts without measuring them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerscope.inputs import TextRecord
from layerscope.names import SpecialTokens, TextForm

CHARACTERS_PER_TOKEN = 4  # of English in the vocabularies of large models


@dataclass(frozen=True)
class TokenCounter:
    """`count` gives the number of tokens of a text; None if it would fail. `limit`: what the model reads."""

    count: Callable[[TextRecord], int | None]
    is_exact: bool
    limit: int | None


def rough_counter() -> TokenCounter:
    """Where the tokenizer of the model is not on this machine."""

    def count(record: TextRecord) -> int:
        match record.form:
            case TextForm.TOKEN_IDS:
                return len(record.value)
            case TextForm.MESSAGES:
                characters = sum(len(message["content"]) for message in record.value)
            case _:
                characters = len(record.value)
        return -(-characters // CHARACTERS_PER_TOKEN)

    return TokenCounter(count, False, None)


def exact_counter(folder: Path, options: Mapping[str, Any]) -> TokenCounter:
    """With the tokenizer of a model in a folder. Raises: ImportError, layerscope.ModelError."""
    from transformers import AutoConfig

    from layerscope.core.loading.checks.context_length import context_length
    from layerscope.core.loading.tokenizers.read_tokenizer import read_tokenizer
    from layerscope.core.tokenization.token_ids import token_ids

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    tokenizer = read_tokenizer(folder, str(folder), config.vocab_size)
    special_tokens = options.get("special_tokens", SpecialTokens.LITERAL)

    def count(record: TextRecord) -> int | None:
        text = record.value if record.form == TextForm.TEXT else {record.form: record.value}
        try:
            return len(token_ids(tokenizer, text, special_tokens).ids)
        except ValueError:
            return None

    return TokenCounter(count, True, context_length(config))
