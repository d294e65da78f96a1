"""The strings of token ids in the vocabulary, in a form that can be stored."""

from collections.abc import Sequence
from typing import Any


def token_strings(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The string of each id as the vocabulary spells it, such as `Ġthe` for " the".

    A model may have more ids than its tokenizer has tokens; such an id is `<id 50000>`. PostgreSQL cannot
    store a NUL character; it becomes `\\0`.
    """
    found: list[str | None] = tokenizer.convert_ids_to_tokens(list(ids))
    return [
        f"<id {number}>" if string is None else string.replace("\0", "\\0")
        for number, string in zip(ids, found, strict=True)
    ]
