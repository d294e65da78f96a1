"""The special tokens that a tokenizer puts around every text, and the flags that decide which they are."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from layerscope.errors import ModelError


class Around(NamedTuple):
    """The ids in front of a text and behind it."""

    before: list[int]
    after: list[int]


class AroundTexts(NamedTuple):
    """The special tokens in front of every text and behind it."""

    before: list[str]
    after: list[str]


def around(tokenizer: Tokenizer) -> Around:
    """What the tokenizer adds to a text."""
    encodings = map(tokenizer.encode, _texts(tokenizer))
    # Without a token of the text itself, those in front of it and those behind it cannot be told apart.
    encoding = next((each for each in encodings if 0 in each.special_tokens_mask), tokenizer.encode(""))
    added = encoding.special_tokens_mask
    first = added.index(0) if 0 in added else len(added)
    last = len(added) - added[::-1].index(0) if 0 in added else len(added)
    return Around(encoding.ids[:first], encoding.ids[last:])


def _texts(tokenizer: Tokenizer) -> Iterator[str]:
    """Texts that probably have a token of their own. A vocabulary of, say, nucleotides has no `a`."""
    yield "a"
    specials = tokenizer.get_added_tokens_decoder()
    ordinary = (id_ for id_ in sorted(tokenizer.get_vocab().values()) if id_ not in specials)
    yield from (tokenizer.decode([id_]) for id_ in ordinary)


def around_texts(tokenizer: Any) -> AroundTexts:
    """What the tokenizer adds to every text."""
    backend = tokenizer.backend_tokenizer
    before, after = around(backend)
    return AroundTexts([*map(backend.id_to_token, before)], [*map(backend.id_to_token, after)])


def follow_flags(tokenizer: Any, settings: dict[str, Any], source: str) -> None:
    """Makes the tokenizer obey `add_bos_token` and `add_eos_token` where its post-processor does not.

    A flag that is not set leaves what tokenizer.json does.

    Raises: ModelError if a flag is not a boolean or if its token is not defined.
    """
    backend = tokenizer.backend_tokenizer
    before, after = around(backend)
    wanted = Around(
        _obeying(before, "bos", tokenizer, settings, source),
        _obeying(after, "eos", tokenizer, settings, source),
    )
    if wanted != (before, after):
        backend.post_processor = _template(wanted)


def _obeying(ids: list[int], name: str, tokenizer: Any, settings: dict[str, Any], source: str) -> list[int]:
    flag = settings.get(f"add_{name}_token")
    token = getattr(tokenizer, f"{name}_token_id")
    if flag is None:
        return ids
    if not isinstance(flag, bool):
        raise ModelError(
            f"add_{name}_token in tokenizer_config.json of {source} is {flag!r}: set it to true or false."
        )
    if token is None:
        if not flag:
            return ids
        raise ModelError(
            f"tokenizer_config.json of {source} sets add_{name}_token, but defines no {name}_token: "
            "correct one of the two."
        )
    if (token in ids) == flag:
        return ids
    without = [i for i in ids if i != token]
    if not flag:
        return without
    return [token, *without] if name == "bos" else [*without, token]


def _template(wanted: Around) -> TemplateProcessing:
    # The ids have names of their own: some tokens contain characters with a meaning in a template.
    names = {f"before{i}": token for i, token in enumerate(wanted.before)}
    names |= {f"after{i}": token for i, token in enumerate(wanted.after)}
    before = [name for name in names if name.startswith("before")]
    after = [name for name in names if name.startswith("after")]
    return TemplateProcessing(single=[*before, "$A", *after], special_tokens=list(names.items()))
