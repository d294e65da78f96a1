"""Encodes messages by the chat template of a model."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer

from layerscope.core.tokenization.literal import literal_tokenizer, special_tokens

# Some templates write the date of today. The numbers of a text must not depend on the day on which it is
# measured, so they get the date that the templates of Llama 3 write if they do not know the date.
TODAY = datetime(2024, 7, 26)
_CLOCK = "strftime_now"  # the function that transformers offers to templates
_CODES = "aAbBdHIjmMpSyY"  # of strftime
# transformers passes no functions to a template, so the function is a macro in front of it.
_FIXED_CLOCK = (
    f"{{%- macro {_CLOCK}(format) -%}}{{{{ format"
    + "".join(f" | replace('%{code}', '{TODAY.strftime('%' + code)}')" for code in _CODES)
    + " }}{%- endmacro -%}{{- '' }}"
)

# Noncharacters, which no text contains: Unicode reserves them for internal use.
_START, _END = "\ufdd0", "\ufdd1"  # around a special token that a message spells
_ALIAS_START, _ALIAS_END = "\ufdd2", "\ufdd3"  # around the id of a special token that the template wrote
_MARKERS = re.compile(f"[{_START}-{_ALIAS_END}]")

Messages = Sequence[Mapping[str, str]]


class TextError(ValueError):
    """The text cannot be measured; the reason is a clause: "the model has no chat template"."""


class Chat(NamedTuple):
    """The ids of the messages; for each id whether it is a special token that the template wrote."""

    ids: list[int]
    added: list[bool]


class _Aliases(NamedTuple):
    """A tokenizer that knows second names of the special tokens, and the ids of the special tokens by the ids
    of their second names."""

    tokenizer: Tokenizer
    ids: dict[int, int]


def has_chat_template(tokenizer: Any) -> bool:
    try:
        return bool(tokenizer.get_chat_template())
    except ValueError:  # no template, or several and none of them is the default
        return False


def encode_chat(tokenizer: Any, messages: Messages, literal: bool) -> Chat:
    """The messages by the chat template, without a prompt for the next message.

    Only the template writes special tokens. With `literal`, a special token that a message spells is text.

    Raises: TextError.
    """
    backend = tokenizer.backend_tokenizer
    spelled = _pattern(backend)
    if not any(spelled.search(text) for message in messages for text in message.values()):
        text = _render(tokenizer, messages)
        backend.encode_special_tokens = False
        ids = backend.encode(text, add_special_tokens=False).ids
        specials = special_tokens(backend)
        added = [token in specials for token in ids]
        if sum(added) == len(spelled.findall(text)):
            return Chat(ids, added)
    return _encode_marked(tokenizer, messages, literal)


def _encode_marked(tokenizer: Any, messages: Messages, literal: bool) -> Chat:
    """Marks the special tokens in messages, so that those of the template can be told apart."""
    if any(_MARKERS.search(text) for message in messages for text in message.values()):
        raise TextError("the messages contain a noncharacter (U+FDD0 to U+FDD3) and spell a special token")
    spelled = _pattern(tokenizer.backend_tokenizer)
    marked = [
        {key: spelled.sub(f"{_START}\\g<0>{_END}", text) for key, text in message.items()}
        for message in messages
    ]
    ids = {token.content: id_ for id_, token in special_tokens(tokenizer.backend_tokenizer).items()}
    either = re.compile(f"{_START}({spelled.pattern}){_END}|{spelled.pattern}")
    text = either.sub(lambda found: found[1] or _alias(ids[found[0]]), _render(tokenizer, marked))
    if _START in text or _END in text:
        raise TextError("the chat template takes apart a special token that a message spells")
    aliases = _with_aliases(tokenizer.backend_tokenizer, literal)
    aliases.tokenizer.encode_special_tokens = literal
    found = aliases.tokenizer.encode(text, add_special_tokens=False).ids
    return Chat([aliases.ids.get(token, token) for token in found], [token in aliases.ids for token in found])


def _render(tokenizer: Any, messages: Messages) -> str:
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:
        raise TextError("the model has no chat template; use text or token_ids") from error
    try:
        text: str = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            chat_template=_FIXED_CLOCK + template if _CLOCK in template else template,
            tokenize=False,
        )
    except Exception as error:  # the template decides what it raises
        raise TextError(f"the chat template of the model refuses the messages: {_reason(error)}") from error
    return text


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@lru_cache(maxsize=8)
def _pattern(backend: Tokenizer) -> re.Pattern[str]:
    """Finds special tokens in a text, the longest first."""
    names = sorted((token.content for token in special_tokens(backend).values()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)) or "(?!)")


def _alias(token: int) -> str:
    return f"{_ALIAS_START}{token}{_ALIAS_END}"


@lru_cache(maxsize=4)
def _with_aliases(backend: Tokenizer, literal: bool) -> _Aliases:
    base = literal_tokenizer(backend) if literal else backend
    copy, specials = Tokenizer.from_str(base.to_str()), special_tokens(backend)
    copy.add_tokens(
        [
            AddedToken(
                _alias(id_),
                single_word=token.single_word,
                lstrip=token.lstrip,
                rstrip=token.rstrip,
                normalized=token.normalized,
                special=False,  # so that `encode_special_tokens` does not concern it
            )
            for id_, token in specials.items()
        ]
    )
    second: Any = copy.token_to_id
    return _Aliases(copy, {second(_alias(id_)): id_ for id_ in specials})
