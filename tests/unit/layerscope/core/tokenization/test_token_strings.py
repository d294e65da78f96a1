from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from layerscope.core.tokenization.token_strings import token_strings


def tokenizer(vocabulary: dict[str, int]) -> Any:
    build: Any = PreTrainedTokenizerFast
    return build(tokenizer_object=Tokenizer(WordLevel(vocabulary, unk_token="?")))


def test_the_strings_are_those_of_the_vocabulary() -> None:
    assert token_strings(tokenizer({"?": 0, "Ġthe": 1, "x": 2}), [2, 1, 1]) == ["x", "Ġthe", "Ġthe"]


def test_an_id_without_a_token_has_its_number() -> None:
    assert token_strings(tokenizer({"?": 0, "x": 1}), [1, 7]) == ["x", "<id 7>"]


def test_nul_cannot_be_stored() -> None:
    assert token_strings(tokenizer({"?": 0, "a\0b": 1}), [1]) == ["a\\0b"]
