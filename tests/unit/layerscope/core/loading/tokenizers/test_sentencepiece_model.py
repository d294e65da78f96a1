"""The reference is the sentencepiece library. The models are trained here."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor

from app.resources import ROOT
from layerscope.core.loading.tokenizers.added_tokens import around_texts
from layerscope.core.loading.tokenizers.read_tokenizer import read_tokenizer
from layerscope.core.tokenization.chat import TextError
from layerscope.core.tokenization.token_ids import token_ids
from layerscope.errors import ModelError
from tests.support.models.tokenizers import TEMPLATE, save_settings, train_sentencepiece

SENTENCES = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.strip()]
PARTS = [
    *(
        " ",
        "  ",
        "\n",
        "\t",
        "a",
        "the",
        "def ",
        "return",
        "1",
        "23",
        "(",
        ")",
        "<s>",
        "</s>",
        "<unk>",
        "▁",
        "é",
    ),
    *("中文", "🙂", "＃", "ﬁ", "\u200b", "\u3000", "'", "e\u0301", *SENTENCES[:20]),
]
KINDS: dict[str, dict[str, Any]] = {
    "Llama 2": {},
    "no dummy prefix": {"add_dummy_prefix": False},
    "normalized": {"normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True},
    "without bytes": {"byte_fallback": False},
    "unigram": {
        "model_type": "unigram",
        "byte_fallback": False,
        "normalization_rule_name": "nmt_nfkc",
        "remove_extra_whitespaces": True,
    },
}


def texts(count: int = 300) -> list[str]:
    choose = random.Random(7)
    return ["".join(choose.choices(PARTS, k=choose.randint(1, 12))) for _ in range(count)]


def folder_with(tmp_path: Path, options: dict[str, Any], sentences: Sequence[str] = SENTENCES) -> Path:
    (tmp_path / "tokenizer.model").write_bytes(train_sentencepiece(sentences, **options))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_texts_have_the_ids_of_sentencepiece_after_bos(tmp_path: Path, kind: str) -> None:
    folder = folder_with(tmp_path, KINDS[kind])
    tokenizer = read_tokenizer(folder, "a model", 400)
    reference = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert around_texts(tokenizer) == (["<s>"], [])
    for text in texts():
        assert token_ids(tokenizer, text, "literal").ids == [reference.bos_id(), *reference.encode(text)], (
            text
        )


def test_special_tokens_are_parsed_where_it_is_wanted(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(folder_with(tmp_path, {}), "a model", 400)
    ids, added = token_ids(tokenizer, "a</s>", "parse")
    assert (ids[0], ids[-1]) == (1, 2)
    assert list(added) == [1, *[0] * (len(ids) - 1)]


def test_settings_and_added_tokens_of_the_other_files_apply(tmp_path: Path) -> None:
    folder = save_settings(folder_with(tmp_path, {}), add_eos_token=True, chat_template=TEMPLATE)
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": 400}))
    tokenizer = read_tokenizer(folder, "a model", 401)
    assert around_texts(tokenizer) == (["<s>"], ["</s>"])
    assert tokenizer.convert_tokens_to_ids("<pad>") == 400
    messages = [{"role": "user", "content": "a"}]
    assert token_ids(tokenizer, {"messages": messages}, "literal").ids[0] == 1


def test_without_legacy_special_tokens_within_a_text_are_refused(tmp_path: Path) -> None:
    folder = save_settings(folder_with(tmp_path, {}), legacy=False, chat_template=TEMPLATE)
    tokenizer = read_tokenizer(folder, "a model", 400)
    reference = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert token_ids(tokenizer, " a<s>", "literal").ids == [1, *reference.encode(" a<s>")]
    for text, option in (("a", "parse"), ({"messages": [{"role": "user", "content": "a"}]}, "literal")):
        with pytest.raises(TextError, match=r"require the tokenizer.json"):
            token_ids(tokenizer, text, option)


@pytest.mark.parametrize(
    "options",
    [
        {"user_defined_symbols": ["  "]},
        {"treat_whitespace_as_suffix": True},
        {"normalization_rule_name": "nmt_nfkc"},  # the two libraries normalize "\r\n" differently
    ],
    ids=str,
)
def test_a_model_that_cannot_be_converted_exactly_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"cannot be converted exactly .*put the tokenizer.json"):
        read_tokenizer(folder_with(tmp_path, options), "a model", 400)


def test_a_mark_behind_a_replaced_character_fails_the_text(tmp_path: Path) -> None:
    """The tokenizers library replaces ﬁ and drops the accent behind it; sentencepiece keeps it."""
    folder = save_settings(folder_with(tmp_path, KINDS["normalized"]), chat_template=TEMPLATE)
    tokenizer = read_tokenizer(folder, "a model", 400)
    reference = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    for text in ("ﬁ\u0301", {"messages": [{"role": "user", "content": "½\u0301"}]}):
        with pytest.raises(TextError, match=r"cannot be reproduced .*put the tokenizer.json"):
            token_ids(tokenizer, text, "literal")
    for text in ("ﬁ", "e\u0301", "½ ＃\u200b"):
        assert token_ids(tokenizer, text, "literal").ids[1:] == reference.encode(text)


def test_a_file_without_bos(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, {"bos_id": -1})
    tokenizer = read_tokenizer(folder, "a model", 400)
    reference = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert token_ids(tokenizer, "a b", "literal").ids == reference.encode("a b")


@pytest.mark.parametrize(
    "content", [b"IQ== 0\nIg== 1\n", b"", b"damaged"], ids=["tiktoken", "empty", "damaged"]
)
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    folder = folder_with(tmp_path, {})
    (folder / "tokenizer.model").write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a file of sentencepiece: put the tokenizer.json"):
        read_tokenizer(folder, "a model", 400)
