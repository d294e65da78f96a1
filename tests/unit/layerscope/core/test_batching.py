from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, processors

from layerscope.core.batching import BUFFER_BATCHES, BUFFER_TEXTS, Encoded, buffers, encode, pack
from tests.support.models.tiny import byte_tokenizer


def encoded(text: object, limit: int = 10, overflow: str = "truncate", vocabulary: int = 257) -> Encoded:
    return encode(byte_tokenizer(), 0, text, limit, overflow, vocabulary)


def of_length(*lengths: int) -> list[Encoded]:
    return [Encoded(i, (1,) * length, length, False, None) for i, length in enumerate(lengths)]


def test_the_bos_token_counts_as_the_first_token() -> None:
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


def test_fail_gives_the_length_and_the_limit() -> None:
    found = encoded("abcdefghijkl", overflow="fail")
    assert found.error == (
        "the text has 13 tokens, more than the limit of 10; shorten it, or set overflow to truncate"
    )
    assert (found.tokens, found.ids, found.truncated) == (13, (), False)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "empty"), (None, "NoneType"), (7, "int"), ("\ud800", "surrogate")]
)
def test_an_invalid_text_fails_with_a_reason(text: object, reason: str) -> None:
    error = encoded(text).error
    assert error is not None
    assert reason in error


def test_a_text_without_tokens_fails() -> None:
    tokenizer = byte_tokenizer(bos=False)
    tokenizer.backend_tokenizer.normalizer = normalizers.Strip()
    assert encode(tokenizer, 0, " ", 10, "truncate", 257).error == "the text has no tokens"


def test_a_tokenizer_that_raises_fails_the_text() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.model = models.WordLevel({"a": 0}, unk_token="<unk>")  # a missing token
    found = encode(tokenizer, 0, "b", 10, "truncate", 257)
    assert found.error is not None
    assert found.error.startswith("the text could not be tokenised: WordLevel error")


def test_only_special_tokens_that_count_are_counted() -> None:
    tokenizer = byte_tokenizer()
    bos = ("<s>", 0)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A <s>", special_tokens=[bos]
    )
    whole, cut = (encode(tokenizer, 0, "abc", limit, "truncate", 257) for limit in (10, 4))
    assert (whole.tokens, whole.special_tokens_added) == (5, 2)
    assert (cut.tokens, cut.special_tokens_added) == (4, 1)
    assert encode(tokenizer, 0, "abc", 4, "fail", 257).special_tokens_added == 0


def test_token_ids_are_truncated_like_a_text() -> None:
    found = encoded([7] * 11)
    assert (found.ids, found.truncated, found.special_tokens_added) == ((7,) * 10, True, 0)


def test_a_text_with_an_id_outside_the_vocabulary_fails() -> None:
    error = encoded("abc", vocabulary=50).error
    assert encoded([5, 50], vocabulary=50).error is not None
    assert error == (
        "token id 67 is outside the model's vocabulary of 50 tokens; "
        "the tokenizer, or the token_ids of the text, do not belong to this model"
    )


def test_batches_are_of_about_equal_length_and_contain_every_text_once() -> None:
    batches = pack(of_length(5, 30, 4, 10, 1, 6, 9, 3), budget=10)
    assert [[text.ordinal for text in batch] for batch in batches] == [[1], [3], [6, 4], [5, 7], [0, 2]]


@given(lengths=st.lists(st.integers(0, 25), max_size=40), budget=st.integers(1, 20))
def test_only_a_batch_of_one_text_exceeds_the_budget(lengths: list[int], budget: int) -> None:
    batches = pack(of_length(*lengths), budget)
    placed = sorted(text.ordinal for batch in batches for text in batch)
    assert placed == [i for i, length in enumerate(lengths) if length]
    tokens = [sum(text.tokens for text in batch) for batch in batches]
    assert all(count <= budget or len(batch) == 1 for count, batch in zip(tokens, batches, strict=True))
    assert tokens == sorted(tokens, reverse=True)


def test_no_batch_is_a_short_remainder() -> None:
    tokens = [sum(text.tokens for text in batch) for batch in pack(of_length(*[100] * 21), budget=1_000)]
    assert tokens == [700, 700, 700]


def test_failed_texts_are_in_no_batch() -> None:
    assert pack([Encoded(0, (), 0, False, "the text is empty")], budget=10) == []


def test_buffers_are_limited_by_tokens_and_by_texts() -> None:
    by_tokens = list(buffers(of_length(*[10] * 9), budget=10))
    assert [len(buffer) for buffer in by_tokens] == [BUFFER_BATCHES, BUFFER_BATCHES, 1]
    by_texts = list(buffers(of_length(*[0] * (BUFFER_TEXTS + 1)), budget=10))
    assert [len(buffer) for buffer in by_texts] == [BUFFER_TEXTS, 1]


def test_no_text_is_read_beyond_the_buffer() -> None:
    read = []

    def texts() -> Iterator[Encoded]:
        for text in of_length(*[10] * 100):
            read.append(text)
            yield text

    buffer = next(buffers(texts(), budget=10))
    assert len(read) == len(buffer) == BUFFER_BATCHES
