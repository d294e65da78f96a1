"""The reference is the tokenizers library on tokenizer.json itself."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from layerscope.core.loading.tokenizers.added_tokens import around_texts
from layerscope.core.loading.tokenizers.probe import TEXTS, same_ids
from layerscope.core.loading.tokenizers.read_tokenizer import read_tokenizer
from layerscope.core.tokenization.token_ids import token_ids
from layerscope.errors import ModelError
from tests.support.models.tokenizers import (
    byte_level_tokenizer,
    llama_tokenizer,
    save_settings,
    save_tokenizer,
    unigram_tokenizer,
    word_tokenizer,
)

END = "<|endoftext|>"
GPT2: dict[str, Any] = {"bos_token": END, "eos_token": END, "unk_token": END}

# class in tokenizer_config.json, tokenizer, further settings
CHECKPOINTS: dict[str, tuple[str, Tokenizer, dict[str, Any]]] = {
    "Llama 2": ("LlamaTokenizer", llama_tokenizer(), {"legacy": True}),
    "Llama 2 without legacy": ("LlamaTokenizerFast", llama_tokenizer(), {"legacy": False}),
    "no dummy prefix": ("LlamaTokenizerFast", llama_tokenizer(prefix=False), {"legacy": True}),
    "no dummy prefix without legacy": ("LlamaTokenizer", llama_tokenizer(prefix=False), {"legacy": False}),
    "GPT-2": ("GPT2Tokenizer", byte_level_tokenizer(digits=False), GPT2),
    "SmolLM2": ("GPT2Tokenizer", byte_level_tokenizer(), GPT2),
    "Qwen2": ("Qwen2Tokenizer", byte_level_tokenizer(), GPT2),
    "generic": ("PreTrainedTokenizerFast", byte_level_tokenizer(), GPT2),
    "unknown class": ("TokenizerOfTomorrow", byte_level_tokenizer(), GPT2),
    "unigram": ("LlamaTokenizer", unigram_tokenizer(), {}),
}
# Those that transformers rebuilds with other ids: if this changes, the comparison at load time has no effect.
REBUILT = {
    "Llama 2",
    "Llama 2 without legacy",
    "no dummy prefix",
    "no dummy prefix without legacy",
    "SmolLM2",
}


def written(tmp_path: Path, name: str) -> Path:
    kind, tokenizer, settings = CHECKPOINTS[name]
    save_tokenizer(tokenizer, tmp_path, tokenizer_class=kind, **settings)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_ids_are_those_of_the_file(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, name)
    tokenizer = read_tokenizer(folder, "a model", 300)
    file = Tokenizer.from_file(str(folder / "tokenizer.json"))
    file.encode_special_tokens = True
    for text in TEXTS:
        if name != "unigram" or "<s>" not in text:  # tests/…/test_literal.py
            assert token_ids(tokenizer, text, "literal").ids == file.encode(text).ids, text
    file.encode_special_tokens = False
    for text in (*TEXTS, "a<s> a</s>b <|endoftext|> 12"):
        assert token_ids(tokenizer, text, "parse").ids == file.encode(text).ids, text


@pytest.mark.parametrize("name", sorted(REBUILT))
def test_the_ids_of_transformers_are_others(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, name)
    rebuilt = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    assert not same_ids(rebuilt, Tokenizer.from_file(str(folder / "tokenizer.json")))


def test_leading_spaces_are_kept(tmp_path: Path) -> None:
    with_prefix = read_tokenizer(written(tmp_path / "a", "Llama 2"), "a model", 300)
    without = read_tokenizer(written(tmp_path / "b", "no dummy prefix"), "a model", 300)
    name = with_prefix.convert_ids_to_tokens
    assert name(token_ids(with_prefix, " a", "literal").ids) == ["<s>", "▁", "▁a"]
    assert name(token_ids(without, " a", "literal").ids) == ["<s>", "▁a"]
    assert name(token_ids(without, "a", "literal").ids) == ["<s>", "a"]


def test_a_token_that_only_the_settings_define_does_not_change_the_ids(tmp_path: Path) -> None:
    spaces = {"content": "  ", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    folder = save_tokenizer(
        llama_tokenizer(), tmp_path, added_tokens_decoder={"999": {**spaces, "special": False}}
    )
    tokenizer = read_tokenizer(folder, "a model", 300)
    file = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert token_ids(tokenizer, "a  b", "literal").ids == file.encode("a  b").ids
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, 2)


def test_truncation_and_padding_of_the_file_do_not_apply(tmp_path: Path) -> None:
    tokenizer = llama_tokenizer()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    read = read_tokenizer(save_tokenizer(tokenizer, tmp_path), "a model", 300)
    assert len(token_ids(read, "bcdefg", "literal").ids) == 8


@pytest.mark.parametrize(
    ("flags", "around"),
    [
        ({}, ["<s>"]),
        ({"add_bos_token": None}, ["<s>"]),
        ({"add_bos_token": True}, ["<s>"]),
        ({"add_bos_token": False}, []),
        ({"add_eos_token": True}, ["<s>", "</s>"]),
        ({"add_bos_token": True, "add_eos_token": True}, ["<s>", "</s>"]),
        ({"add_bos_token": False, "add_eos_token": True}, ["</s>"]),
        ({"add_eos_token": False}, ["<s>"]),
    ],
)
@pytest.mark.parametrize("kind", ["LlamaTokenizer", "PreTrainedTokenizerFast"])
def test_the_flags_of_the_settings_decide_what_is_added(
    tmp_path: Path, kind: str, flags: dict[str, Any], around: list[str]
) -> None:
    folder = save_tokenizer(llama_tokenizer(), tmp_path, tokenizer_class=kind, **flags)
    tokenizer = read_tokenizer(folder, "a model", 300)
    assert [*around_texts(tokenizer).before, *around_texts(tokenizer).after] == around
    ids, added = token_ids(tokenizer, "b", "literal")
    front, end = "<s>" in around, "</s>" in around
    assert tokenizer.convert_ids_to_tokens(ids) == [*["<s>"] * front, "▁", "b", *["</s>"] * end]
    assert list(added) == [*[1] * front, 0, 0, *[1] * end]


def test_a_file_that_adds_nothing_follows_the_flag(tmp_path: Path) -> None:
    folder = save_tokenizer(byte_level_tokenizer(), tmp_path, **GPT2, add_bos_token=True, add_eos_token=True)
    assert around_texts(read_tokenizer(folder, "a model", 258)) == ([END], [END])


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("eos", [True, False])
def test_the_flags_of_a_vocabulary_without_letters(tmp_path: Path, bos: bool, eos: bool) -> None:
    """A vocabulary of nucleotides: no token for `a`, and none for unknown characters."""
    vocabulary = {name: i for i, name in enumerate(["<unk>", "<s>", "</s>", *"ACGT"])}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    folder = save_tokenizer(tokenizer, tmp_path, add_bos_token=bos, add_eos_token=eos)
    ids, added = token_ids(read_tokenizer(folder, "a model", 7), "GAT", "literal")
    assert ids == [*[1] * bos, 5, 3, 6, *[2] * eos]
    assert list(added) == [*[1] * bos, 0, 0, 0, *[1] * eos]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"add_bos_token": "yes"}, "add_bos_token in .* is 'yes': set it to true or false"),
        ({"add_eos_token": True, "eos_token": None}, "sets add_eos_token, but defines no eos_token"),
        ({"bos_token": 7}, "settings of the tokenizer of a model are invalid"),
    ],
)
def test_invalid_settings(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_tokenizer(save_tokenizer(llama_tokenizer(), tmp_path, **settings), "a model", 300)


@pytest.mark.parametrize(("content", "message"), [("{", "not valid JSON"), ("[]", "not a JSON object")])
def test_a_broken_configuration_next_to_a_valid_file(tmp_path: Path, content: str, message: str) -> None:
    folder = save_tokenizer(llama_tokenizer(), tmp_path)
    (folder / "tokenizer_config.json").write_text(content)
    with pytest.raises(
        ModelError, match=rf"tokenizer_config.json of a model is {message}.*download it again"
    ):
        read_tokenizer(folder, "a model", 300)


def test_the_file_alone_is_enough(tmp_path: Path) -> None:
    folder = save_tokenizer(llama_tokenizer(), tmp_path)
    (folder / "tokenizer_config.json").unlink()
    tokenizer = read_tokenizer(folder, "a model", 300)
    assert tokenizer.convert_ids_to_tokens(token_ids(tokenizer, "<s>", "literal").ids) == [
        *("<s>", "▁", "<", "s", ">")
    ]


def test_a_broken_file(tmp_path: Path) -> None:
    folder = save_settings(tmp_path)
    (folder / "tokenizer.json").write_text('{"model": {}}')
    with pytest.raises(ModelError, match=r"tokenizer.json of a model cannot be read .*download it again"):
        read_tokenizer(folder, "a model", 300)


@pytest.mark.parametrize("kind", ["LlamaTokenizer", "GPT2Tokenizer", "PreTrainedTokenizerFast"])
def test_a_folder_without_tokenizer_files(tmp_path: Path, kind: str) -> None:
    """Without its files, LlamaTokenizer has three tokens and gives an id for every text."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    save_settings(tmp_path, tokenizer_class=kind)
    with pytest.raises(ModelError, match=r"a model has no tokenizer .*tokenizer.json"):
        read_tokenizer(tmp_path, "a model", 300)


def test_a_tokenizer_that_was_saved_without_its_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    save_settings(tmp_path, tokenizer_class="LlamaTokenizer")
    AutoTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has only 0 tokens, but the model has 300"):
        read_tokenizer(tmp_path, "a model", 300)
    with pytest.raises(ModelError, match=r"has only 258 tokens, but the model has 128256"):
        read_tokenizer(save_tokenizer(byte_level_tokenizer(), tmp_path / "other"), "a model", 128_256)


def test_a_small_vocabulary_is_accepted(tmp_path: Path) -> None:
    assert len(read_tokenizer(save_tokenizer(word_tokenizer(), tmp_path), "a model", 5)) == 5


def test_vocabulary_and_merges_without_tokenizer_json(tmp_path: Path) -> None:
    byte_level_tokenizer(digits=False).model.save(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    save_settings(tmp_path, tokenizer_class="GPT2Tokenizer", **GPT2)
    tokenizer = read_tokenizer(tmp_path, "a model", 300)
    reference = byte_level_tokenizer(digits=False)
    for text in TEXTS:
        assert token_ids(tokenizer, text, "parse").ids == reference.encode(text).ids
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(ModelError, match=r"a model has no tokenizer .*vocab.json and merges.txt"):
        read_tokenizer(tmp_path, "a model", 300)


@pytest.mark.parametrize(
    ("family", "kind", "message"),
    [
        # transformers would take Qwen2Tokenizer, which makes each digit a word
        ("qwen2", "GPT2Tokenizer", "names the class GPT2Tokenizer, but transformers makes a Qwen2Tokenizer"),
        ("qwen2", "PreTrainedTokenizerFast", "but transformers makes a Qwen2Tokenizer"),
        ("llama", "PreTrainedTokenizerFast", "transformers makes no tokenizer of vocab.json and merges.txt"),
    ],
)
def test_vocabulary_and_merges_of_another_class(family: str, kind: str, message: str, tmp_path: Path) -> None:
    byte_level_tokenizer(digits=False).model.save(str(tmp_path))
    (tmp_path / "config.json").write_text(f'{{"model_type": "{family}"}}')
    save_settings(tmp_path, tokenizer_class=kind, **GPT2)
    with pytest.raises(ModelError, match=f"{message}.*: put the tokenizer.json"):
        read_tokenizer(tmp_path, "a model", 300)
    save_settings(tmp_path, tokenizer_class="Qwen2TokenizerFast", **GPT2)
    assert len(read_tokenizer(tmp_path, "a model", 300)) > 250
