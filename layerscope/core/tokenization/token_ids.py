"""The token ids of a text in any of its forms."""

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, NamedTuple

from layerscope.core.tokenization.chat import TextError, encode_chat
from layerscope.core.tokenization.literal import encode_literally
from layerscope.names import SpecialTokens, TextForm
from layerscope.text_forms import form_of, mistake_in

# A string, token ids, or an object with exactly one of `text`, `token_ids` and `messages`.
TextInput = str | Sequence[int] | Mapping[str, Any]

FORMS = ", ".join(TextForm)
# Among the `init_kwargs` of such a tokenizer: True, or the sentencepiece processor if it normalizes texts.
CONVERTED = "converted_from_sentencepiece"


class TokenIds(NamedTuple):
    """The ids of a text in its order; for each whether the tokenizer or the chat template added it."""

    ids: list[int]
    added: Sequence[bool | int]


def token_ids(tokenizer: Any, text: object, special_tokens: str) -> TokenIds:
    """The ids that the model reads. The tokenizer decides which special tokens it puts around a string.

    Args:
        text: a TextInput.
        special_tokens: "literal" (a special token that the text spells is text) or "parse" (it is the token).
            Token ids are always measured as they are given.
    Raises: TextError; whatever the tokenizer raises.
    """
    form, value = _form_and_value(text)
    if mistake := mistake_in(form, value):
        raise TextError(mistake.sentence(form))
    literal = special_tokens == SpecialTokens.LITERAL
    if form == TextForm.TOKEN_IDS:
        return TokenIds([index(value) for value in value], [0] * len(value))
    if form == TextForm.MESSAGES:
        _check_segments(tokenizer)
        for message in value:
            _check_normalization(tokenizer, message["content"])
        return TokenIds(*encode_chat(tokenizer, value, literal))
    _check_normalization(tokenizer, value)
    return _encode(tokenizer, value, literal)


def _form_and_value(text: object) -> tuple[str, Any]:
    if isinstance(text, str):
        return TextForm.TEXT, text
    if isinstance(text, Mapping):
        form = form_of(text)
        if form is None or len(text) > 1:
            raise TextError(f"the text is an object, but not with exactly one of {FORMS}")
        return form, text[form]
    if isinstance(text, Sequence) and not isinstance(text, bytes | bytearray):
        return TextForm.TOKEN_IDS, text
    kind = type(text).__name__
    raise TextError(f"the text is neither a string, token ids nor an object; its type is {kind}")


def _encode(tokenizer: Any, text: str, literal: bool) -> TokenIds:
    backend = tokenizer.backend_tokenizer
    if literal:
        encoding = encode_literally(backend, text)
    else:
        _check_segments(tokenizer)
        backend.encode_special_tokens = False
        encoding = backend.encode(text)
    return TokenIds(encoding.ids, encoding.special_tokens_mask)


def _check_normalization(tokenizer: Any, text: str) -> None:
    """The tokenizers library drops a combining mark behind a character that it replaces."""
    reference = tokenizer.init_kwargs.get(CONVERTED)
    if reference in (None, True) or text.isascii():
        return
    if tokenizer.backend_tokenizer.normalizer.normalize_str(text) != reference.normalize(text):
        raise TextError(
            "the normalization of its tokenizer.model cannot be reproduced for this text; "
            "put the tokenizer.json of the model into its folder"
        )


def _check_segments(tokenizer: Any) -> None:
    """With `legacy: false`, transformers 4 encoded the text behind a special token without a dummy prefix.

    A tokenizer that was converted from tokenizer.model cannot do that.
    """
    settings = tokenizer.init_kwargs
    if CONVERTED in settings and settings.get("legacy") is False:
        raise TextError(
            "special tokens within a text require the tokenizer.json of this model, "
            "because its tokenizer_config.json has `legacy: false`"
        )
