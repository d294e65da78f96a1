"""The tokenizer, the token stream and the batches."""

import random
from typing import Any

import pytest

from demo.tokens import BOS_ID, EOS_ID, batch, encode, stream, train_tokenizer

TEXTS = ["for i in range(10):\n    print(i)\n", "def f(x):\n    return x * 12\n", "one line"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(20 * TEXTS, 300)


def test_bos_is_in_front_and_any_text_comes_back(tokenizer: Any) -> None:
    for text in (*TEXTS, "größer 數", "\x00 \t\n"):
        ids = encode(tokenizer, text)
        assert ids[0] == tokenizer.bos_token_id == BOS_ID
        assert tokenizer.decode(ids[1:]) == text


def test_words_are_merged_and_digits_are_not(tokenizer: Any) -> None:
    assert len(tokenizer) > 280
    assert len(encode(tokenizer, "return")) < len("return")
    assert [tokenizer.decode(token) for token in encode(tokenizer, "1012")[1:]] == list("1012")


def test_a_stream_holds_every_text_and_an_end_after_each(tokenizer: Any) -> None:
    ids = stream(tokenizer, TEXTS).ids.tolist()
    ends = [place for place, token in enumerate(ids) if token == EOS_ID]
    texts = [ids[first + 1 : last] for first, last in zip([-1, *ends], ends, strict=False)]
    assert [tokenizer.decode(text) for text in texts] == TEXTS
    assert ends[-1] == len(ids) - 1


def test_rows_begin_where_a_line_does(tokenizer: Any) -> None:
    tokens, rng = stream(tokenizer, TEXTS), random.Random(0)
    begins = {tuple(tokens.row(rng, 3)) for _ in range(100)}
    texts = {tokenizer.decode(row[1:]) for row in begins}
    lines = {line for text in TEXTS for line in text.splitlines()}
    assert len(texts) > 3
    assert all(row[0] == BOS_ID and len(row) == 4 for row in begins)
    assert all(any(line.startswith(text.split("\n")[0].split("<|")[0]) for line in lines) for text in texts)


def test_a_batch_keeps_to_the_shares(tokenizer: Any) -> None:
    streams = {"a": stream(tokenizer, ["aaaaaaaa\n" * 9]), "b": stream(tokenizer, ["bbbbbbbb\n" * 9])}
    rows = batch(streams, {"a": 0.75, "b": 0.25}, random.Random(3), rows=400, length=2)
    assert rows.shape == (400, 3)
    of_a = sum("a" in tokenizer.decode(row[1:]) for row in rows)
    assert 260 < of_a < 340
