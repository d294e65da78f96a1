from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from layerscope.core.tokenization.chat import TextError
from layerscope.core.tokenization.token_ids import token_ids
from tests.support.models.tokenizers import TEMPLATE, llama_tokenizer

A, B = 357, 69  # "▁a" and "b"


@pytest.fixture
def tokenizer() -> Any:
    wrapper: Any = PreTrainedTokenizerFast
    return wrapper(
        tokenizer_object=llama_tokenizer(), chat_template=TEMPLATE, bos_token="<s>", eos_token="</s>"
    )


@pytest.mark.parametrize("special_tokens", ["literal", "parse"])
def test_token_ids_are_measured_as_they_are_given(tokenizer: Any, special_tokens: str) -> None:
    for ids in ([5, 1, 2], (5, 1, 2), [np.int64(5), 1, 2], {"token_ids": [5, 1, 2]}):
        found = token_ids(tokenizer, ids, special_tokens)
        assert found.ids == [5, 1, 2]
        assert all(type(token) is int for token in found.ids)
        assert sum(found.added) == 0


def test_a_string_has_the_same_ids_in_both_forms(tokenizer: Any) -> None:
    string, in_object = (
        token_ids(tokenizer, "it's", "literal"),
        token_ids(tokenizer, {"text": "it's"}, "literal"),
    )
    assert string == in_object
    assert list(string.added) == [1, 0, 0, 0, 0]


def test_special_tokens_in_a_text(tokenizer: Any) -> None:
    names = tokenizer.convert_ids_to_tokens
    assert names(token_ids(tokenizer, "<s>b</s>", "literal").ids) == ["<s>", *"▁<s>b</s>"]
    parsed = token_ids(tokenizer, "<s>b</s>", "parse")
    assert names(parsed.ids) == ["<s>", "<s>", "▁", "b", "</s>"]
    assert list(parsed.added) == [1, 0, 0, 0, 0]


def test_the_mode_of_one_text_does_not_stay_for_the_next(tokenizer: Any) -> None:
    literal = token_ids(tokenizer, "<s>b", "literal")
    parsed = token_ids(tokenizer, "<s>b", "parse")
    assert token_ids(tokenizer, "<s>b", "literal") == literal != parsed
    assert token_ids(tokenizer, "<s>b", "parse") == parsed
    messages = {"messages": [{"role": "user", "content": "b"}]}
    token_ids(tokenizer, "<s>b", "literal")
    assert token_ids(tokenizer, messages, "literal").ids[0] == 1


def test_messages(tokenizer: Any) -> None:
    found = token_ids(tokenizer, {"messages": [{"role": "user", "content": "b"}]}, "literal")
    names = tokenizer.convert_ids_to_tokens(found.ids)
    assert names == ["<s>", *"▁user:▁b", "</s>", "▁", "<0x0A>"]
    assert [name for name, added in zip(names, found.added, strict=True) if added] == ["<s>", "</s>"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the text is empty"),
        (None, "neither a string, token ids nor an object; its type is NoneType"),
        (7, "its type is int"),
        (b"a", "its type is bytes"),
        (np.array([1, 2]), "its type is ndarray"),
        ({}, "the text is an object, but not with exactly one of text, token_ids, messages"),
        ({"text": "a", "token_ids": [1]}, "not with exactly one of"),
        ({"text": "a", "pair": "b"}, "not with exactly one of"),
        ({"text": None}, "the text must be a string"),
        ([], "the text is empty"),
        ([1, -1], "token_ids/1 is not a token id"),
        ([True], "token_ids/0 is not a token id"),
        (["a"], "token_ids/0 is not a token id"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages/0/content must be a string"),
        ({"messages": [{"role": "x", "content": "b"}]}, "refuses the messages: unknown role x"),
    ],
)
def test_an_invalid_text_has_a_reason(tokenizer: Any, text: object, reason: str) -> None:
    with pytest.raises(TextError, match=reason):
        token_ids(tokenizer, text, "literal")
