from typing import Any

import pytest
from tokenizers import Tokenizer

from layerscope.core.tokenization.literal import encode_literally, literal_tokenizer
from tests.support.models.tokenizers import (
    byte_level_tokenizer,
    llama_tokenizer,
    unigram_tokenizer,
    word_tokenizer,
)

# Merges that lead to the special token </s>, as transformers makes them for some checkpoints.
TO_EOS = [("<", "/"), ("</", "s"), ("</s", ">")]


@pytest.mark.parametrize(
    ("tokenizer", "text", "tokens"),
    [
        (llama_tokenizer(), "<s>b</s>", ["<s>", *"▁<s>b</s>"]),
        (llama_tokenizer(merges=TO_EOS), "<s>b</s>", ["<s>", *"▁<s>b", "</s", ">"]),
        (byte_level_tokenizer(specials=("<|im_end|>",)), "b<|im_end|>", [*"b<|im_end|>"]),
        (unigram_tokenizer(), "<s>b</s>", ["<s>", *"<s>b</s>"]),
    ],
    ids=["BPE", "BPE with merges", "byte-level BPE", "Unigram"],
)
def test_a_special_token_in_a_text_is_text(tokenizer: Tokenizer, text: str, tokens: list[str]) -> None:
    encoding = encode_literally(tokenizer, text)
    assert [tokenizer.id_to_token(token) for token in encoding.ids] == tokens
    assert encoding.ids == [tokenizer.token_to_id(token) for token in tokens]


def test_words_that_spell_special_tokens_are_unknown() -> None:
    """WordLevel has no other way to write `<s>`."""
    assert encode_literally(word_tokenizer(), "a <s> b").ids == [3, 0, 4]


@pytest.mark.parametrize("tokenizer", [llama_tokenizer(), unigram_tokenizer()], ids=["BPE", "Unigram"])
def test_other_texts_have_the_ids_of_the_tokenizer(tokenizer: Tokenizer) -> None:
    literal: list[Any] = [encode_literally(tokenizer, text).ids for text in ("", " a  b", "it's é 1\n")]
    tokenizer.encode_special_tokens = False
    assert literal == [tokenizer.encode(text).ids for text in ("", " a  b", "it's é 1\n")]


def test_only_tokenizers_that_need_it_are_copied() -> None:
    plain, unigram = llama_tokenizer(), unigram_tokenizer()
    assert literal_tokenizer(plain) is plain
    assert literal_tokenizer(unigram) is not unigram


def test_a_text_cannot_spell_the_hidden_name() -> None:
    with pytest.raises(ValueError, match=r"U\+FDD4"):
        encode_literally(unigram_tokenizer(), "\ufdd4<s>")
