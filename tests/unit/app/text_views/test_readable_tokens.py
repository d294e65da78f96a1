"""Tokens as people read them: those of byte-level vocabularies and of SentencePiece."""

import pytest
from tokenizers import pre_tokenizers

from app.text_views.readable_tokens import BYTES, readable


@pytest.mark.parametrize(
    ("strings", "expected"),
    [
        (["<|begin_of_text|>", "def", "Ġx", "Ċ", "Ã¼"], ["<|begin_of_text|>", "def", " x", "↵", "ü"]),
        (["<｜begin▁of▁sentence｜>", "Ġ", "å"], ["<｜begin▁of▁sentence｜>", " ", "�"]),
        (["<｜begin▁of▁sentence｜>", "ä½ł", "å¥½", "ï¼Į"], ["<｜begin▁of▁sentence｜>", "你", "好", "，"]),
        (["caf", "Ã©"], ["caf", "é"]),
        (["ä½ł", "å¥"], ["你", "�"]),
        (["a", "ĉ", "b"], ["a", "\t", "b"]),
        (["<s>", "▁ü", "ber", "<0x0A>", "<0xE6>"], ["<s>", " ü", "ber", "↵", "�"]),
        (["▁Ġużè"], [" Ġużè"]),
        (["<s>", "Ġużè", "<0x0A>"], ["<s>", "Ġużè", "↵"]),
        (["Ġużè"], ["Ġużè"]),
        (["caf", "é"], ["caf", "é"]),
        (["<s>", "abc"], ["<s>", "abc"]),
        (["über", "##x"], ["über", "##x"]),
        ([], []),
    ],
)
def test_spaces_and_characters_are_shown(strings: list[str], expected: list[str]) -> None:
    assert readable(strings) == expected


def test_the_alphabet_is_that_of_the_tokenizers() -> None:
    assert set(BYTES) == set(pre_tokenizers.ByteLevel.alphabet())
    for text in ("a b\n\tc", "ü 數"):
        (word, _), *_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(
            text
        )
        assert bytes(BYTES[character] for character in word).decode() == text
