"""Bytes for readers: documents that are valid, damaged, or put together from parts at random."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st

# What may confuse a reader of JSON: structure, escapes, halves of surrogate pairs, large numbers, encodings.
TOKENS = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b"\r", b" ", b"\0", b"\xff", b"\xef\xbb\xbf"),
    *(b"\\u", b"d800", b"dc00", b"0041", b'"a"', b'"texts"', b'"text"', b'"domain"', b'"model"', b'"pair"'),
    *(
        b'"messages"',
        b'"token_ids"',
        b'"role"',
        b'"content"',
        b'"options"',
        b'"demo"',
        b'"window"',
        b"{}",
        b"[]",
    ),
    *(
        b"0",
        b"-",
        b"1e999",
        b"9" * 90,
        b"1.5",
        b"NaN",
        b"Infinity",
        b"null",
        b"true",
        "\u00e9\U0001f600".encode(),
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("text", "token_ids", "messages", "pair", "domain"), VALUES)
    ),
    st.fixed_dictionaries({"text": st.text(max_size=8)}, optional={"pair": st.text(max_size=70)}),
    st.fixed_dictionaries({"token_ids": st.lists(st.integers(-1, 2**32), max_size=4)}),
    st.fixed_dictionaries(
        {"messages": st.lists(st.fixed_dictionaries({"role": VALUES, "content": VALUES}), max_size=3)}
    ),
)
DOCUMENTS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {
            "texts": st.lists(TEXTS, max_size=4)
            | st.dictionaries(st.text(max_size=5), st.lists(TEXTS, max_size=3))
        },
        optional={"model": st.just("demo") | VALUES, "name": VALUES, "options": VALUES, "x": VALUES},
    ),
)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@st.composite
def damaged(draw: st.DrawFn, valid: st.SearchStrategy[bytes]) -> bytes:
    """A valid input of which a part was replaced, removed or repeated."""
    data = draw(valid)
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    middle = draw(
        st.just(b"") | st.just(data[start:end] * 2) | st.binary(max_size=8) | st.sampled_from(TOKENS)
    )
    return data[:start] + middle + data[end:]


def soup(tokens: Sequence[bytes] = TOKENS) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(tokens), max_size=40).map(b"".join)


@st.composite
def in_pieces(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> Sequence[bytes]:
    """The input as it may arrive, in pieces of any size."""
    data = draw(whole)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=5)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
