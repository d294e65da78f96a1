from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.core.batching import BUFFER_BATCHES, BUFFER_TEXTS, Encoded, buffers, encode, pack
from tests.support.tiny import byte_tokenizer


def encoded(text: object, limit: int = 10, overflow: str = "truncate", vocabulary: int = 257) -> Encoded:
    return encode(byte_tokenizer(), 0, text, limit, overflow, vocabulary)


def of_length(*lengths: int) -> list[Encoded]:
    return [Encoded(i, (1,) * length, length, False, None) for i, length in enumerate(lengths)]


def test_the_special_token_counts_as_the_first() -> None:
    found = encoded("abc")
    assert found.tokens == len(found.ids) == 4
    assert found.ids[0] == 0
    assert not found.truncated


def test_a_text_at_the_limit_is_not_truncated() -> None:
    assert not encoded("123456789").truncated
    assert encoded("1234567890").truncated


def test_truncate_keeps_the_first_tokens() -> None:
    long, short = encoded("abcdefghijkl"), encoded("abcdefghi")
    assert (long.ids, long.tokens, long.truncated) == (short.ids, 10, True)


def test_fail_names_length_and_limit() -> None:
    found = encoded("abcdefghijkl", overflow="fail")
    assert found.error == "the text has 13 tokens, more than the limit of 10"
    assert (found.tokens, found.ids, found.truncated) == (13, (), False)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "empty"), (None, "NoneType"), (7, "int"), ("\ud800", "surrogate")]
)
def test_what_is_no_text_fails_with_a_reason(text: object, reason: str) -> None:
    error = encoded(text).error
    assert error is not None
    assert reason in error


def test_a_text_of_no_tokens_fails() -> None:
    def no_tokens(_text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": []}

    assert encode(no_tokens, 0, " ", 10, "truncate", 257).error == "the text has no tokens"


def test_an_id_beyond_the_embedding_fails_the_text() -> None:
    error = encoded("abc", vocabulary=50).error
    assert error is not None
    assert "vocabulary of 50" in error


def test_rows_are_equally_long_and_hold_every_text_once() -> None:
    rows = pack(of_length(5, 30, 4, 10, 1, 6, 9, 3), budget=10)
    assert [[text.ordinal for text in row] for row in rows] == [[1], [3], [6, 4], [5, 7], [0, 2]]


@given(lengths=st.lists(st.integers(0, 25), max_size=40), budget=st.integers(1, 20))
def test_no_row_is_over_the_budget_but_that_of_a_text_alone(lengths: list[int], budget: int) -> None:
    rows = pack(of_length(*lengths), budget)
    placed = sorted(text.ordinal for row in rows for text in row)
    assert placed == [i for i, length in enumerate(lengths) if length]
    tokens = [sum(text.tokens for text in row) for row in rows]
    assert all(count <= budget or len(row) == 1 for count, row in zip(tokens, rows, strict=True))
    assert tokens == sorted(tokens, reverse=True)


def test_no_row_is_a_leftover() -> None:
    tokens = [sum(text.tokens for text in row) for row in pack(of_length(*[100] * 21), budget=1_000)]
    assert tokens == [700, 700, 700]


def test_failed_texts_take_no_room() -> None:
    assert pack([Encoded(0, (), 0, False, "the text is empty")], budget=10) == []


def test_windows_are_bounded_by_tokens_and_by_texts() -> None:
    by_tokens = list(buffers(of_length(*[10] * 9), budget=10))
    assert [len(window) for window in by_tokens] == [BUFFER_BATCHES, BUFFER_BATCHES, 1]
    by_texts = list(buffers(of_length(*[0] * (BUFFER_TEXTS + 1)), budget=10))
    assert [len(window) for window in by_texts] == [BUFFER_TEXTS, 1]


def test_windows_read_no_further_than_they_return() -> None:
    read = []

    def texts() -> Iterator[Encoded]:
        for text in of_length(*[10] * 100):
            read.append(text)
            yield text

    window = next(buffers(texts(), budget=10))
    assert len(read) == len(window) == BUFFER_BATCHES
