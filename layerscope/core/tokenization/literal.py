"""Encodes a text literally: where it spells a special token, it is that text and not the token."""

import json
from functools import lru_cache
from typing import Any

from tokenizers import Encoding, Tokenizer

_HIDDEN = "\ufdd4"  # a noncharacter; a piece that starts with it is not found in texts


@lru_cache(maxsize=8)
def special_tokens(tokenizer: Tokenizer) -> dict[int, Any]:
    """The special tokens of the vocabulary by their ids, as `AddedToken`."""
    return {id_: token for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}


def encode_literally(tokenizer: Tokenizer, text: str, add_special_tokens: bool = True) -> Encoding:
    """Special tokens that are spelled in the text become ordinary tokens; those around it are added or not.

    Raises: ValueError if the text contains a noncharacter that is needed for this.
    """
    literal = literal_tokenizer(tokenizer)
    if literal is not tokenizer and _HIDDEN in text:
        raise ValueError("the text contains the noncharacter U+FDD4")
    literal.encode_special_tokens = True
    return literal.encode(text, add_special_tokens=add_special_tokens)


@lru_cache(maxsize=8)
def literal_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer itself, or a copy if its model finds special tokens in texts.

    With `encode_special_tokens` the library passes special tokens that a text spells to the model. The models
    Unigram, WordLevel and WordPiece look whole words up in a vocabulary that may contain the special tokens,
    and BPE does so with `ignore_merges` or if there are merges that lead to a special token.
    """
    names = {
        token.content for token in special_tokens(tokenizer).values() if _finds(tokenizer, token.content)
    }
    return _copy_without(tokenizer, names) if names else tokenizer


def _finds(tokenizer: Tokenizer, name: str) -> bool:
    model = tokenizer.model
    if model.token_to_id(name) is None:
        return False
    if type(model).__name__ != "BPE":
        return True
    tokenizer.encode_special_tokens = True
    wanted = tokenizer.token_to_id(name)
    return any(
        wanted in tokenizer.encode(text, add_special_tokens=False).ids
        for text in (name, f" {name} ", f"a{name}b", f"{name}{name}")
    )


def _copy_without(tokenizer: Tokenizer, names: set[str]) -> Tokenizer:
    """A copy in which these tokens keep their ids, but have names that no text spells."""
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {_hidden(name, names): id_ for name, id_ in model["vocab"].items()}
    else:
        model["vocab"] = [[_hidden(name, names), score] for name, score in model["vocab"]]
    if model.get("unk_token"):
        model["unk_token"] = _hidden(model["unk_token"], names)
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if not names & {*pair, "".join(pair)}]
    for token in content["added_tokens"]:
        token["content"] = _hidden(token["content"], names)
    return Tokenizer.from_str(json.dumps(content))


def _hidden(name: str, names: set[str]) -> str:
    return _HIDDEN + name if name in names else name
