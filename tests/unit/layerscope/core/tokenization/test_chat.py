"""The reference for messages without special tokens is `apply_chat_template` of transformers."""

from datetime import datetime
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, normalizers
from transformers import PreTrainedTokenizerFast

from layerscope.core.tokenization.chat import TextError, encode_chat, has_chat_template
from tests.support.models.tokenizers import TEMPLATE, byte_level_tokenizer, llama_tokenizer, unigram_tokenizer

CHATML = (
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
)
USER = [{"role": "user", "content": " a 12 it's\n"}, {"role": "assistant", "content": "b"}]


def with_template(tokenizer: Tokenizer, template: Any = TEMPLATE, **names: str) -> Any:
    wrapper: Any = PreTrainedTokenizerFast
    return wrapper(tokenizer_object=tokenizer, chat_template=template, **names)


def llama(**options: Any) -> Any:
    return with_template(llama_tokenizer(**options), bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def chatml() -> Any:
    return with_template(byte_level_tokenizer(specials=("<|im_start|>", "<|im_end|>")), CHATML)


def says(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def tokens(tokenizer: Any, messages: list[dict[str, str]], literal: bool = True) -> list[str]:
    return list(tokenizer.convert_ids_to_tokens(encode_chat(tokenizer, messages, literal).ids))


@pytest.mark.parametrize("tokenizer", [llama(), llama(prefix=False), chatml()], ids=["1", "2", "3"])
@pytest.mark.parametrize("literal", [True, False])
def test_messages_have_the_ids_of_the_template(tokenizer: Any, literal: bool) -> None:
    ids, added = encode_chat(tokenizer, USER, literal)
    assert ids == tokenizer.apply_chat_template(USER)["input_ids"]
    names = tokenizer.convert_ids_to_tokens(ids)
    assert [name for name, special in zip(names, added, strict=True) if special] == [
        name for name in names if name in tokenizer.all_special_tokens or name.startswith("<|")
    ]


def test_a_special_token_in_a_message_is_text() -> None:
    ids, added = encode_chat(chatml(), says("b<|im_end|>c"), literal=True)
    names = chatml().convert_ids_to_tokens(ids)
    assert names == ["<|im_start|>", *"userĊb<|im_end|>c", "<|im_end|>", "Ċ"]
    assert [i for i, special in enumerate(added) if special] == [0, len(ids) - 2]


def test_the_text_around_it_is_encoded_as_one_text() -> None:
    """Merges reach over the beginning and the end of a special token that is spelled."""
    tokenizer = llama(merges=[("b", "<"), (">", "c")])
    assert tokens(tokenizer, says("b<s>c")) == ["<s>", *"▁user:▁", "b<", "s", ">c", "</s>", "▁", "<0x0A>"]


@pytest.mark.parametrize("prefix", [True, False])
def test_a_special_token_in_a_message_is_parsed_where_it_is_wanted(prefix: bool) -> None:
    tokenizer = llama(prefix=prefix)
    ids, added = encode_chat(tokenizer, says("b<s>c"), literal=False)
    assert ids == tokenizer.apply_chat_template(says("b<s>c"))["input_ids"]
    specials = [i for i, token in enumerate(ids) if token in (1, 2)]
    assert [added[i] for i in specials] == [True, False, True]
    assert sum(added) == 2


def test_a_special_token_of_a_vocabulary_with_scores_is_text() -> None:
    tokenizer = with_template(unigram_tokenizer(), bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    assert tokens(tokenizer, says("b<s>")) == ["<s>", *"user:▁b<s>", "</s>", "<unk>"]


def test_normalization_makes_no_special_token_of_a_message() -> None:
    backend = byte_level_tokenizer(specials=())
    backend.normalizer = normalizers.NFKC()
    names = ("<|im_start|>", "<|im_end|>")
    backend.add_tokens([AddedToken(name, special=True, normalized=True) for name in names])
    tokenizer = with_template(backend, CHATML)
    assert tokens(tokenizer, says("＜|im_end|>"))[-13:-2] == [*"Ċ<|im_end|>"][-11:]
    assert sum(encode_chat(tokenizer, says("＜|im_end|>"), literal=True).added) == 2


@pytest.mark.parametrize("code", "aAbBdHIjmMpSyY")
def test_the_date_is_always_the_same(code: str) -> None:
    template = f"\n {{{{ strftime_now('%{code}') }}}}\n{{{{ messages[0].content }}}}"
    ids = encode_chat(with_template(byte_level_tokenizer(), template), says("b"), literal=True).ids
    assert byte_level_tokenizer().decode(ids) == f"\n {datetime(2024, 7, 26).strftime('%' + code)}\nb"


def test_a_template_that_asks_whether_there_is_a_date() -> None:
    template = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}never{% endif %}"
    ids = encode_chat(with_template(byte_level_tokenizer(), template), says("b"), literal=True).ids
    assert byte_level_tokenizer().decode(ids) == "26 Jul 2024"


@pytest.mark.parametrize(
    ("template", "messages", "reason"),
    [
        (None, USER, "the model has no chat template; use text or token_ids"),
        ({"tool_use": "x"}, USER, "the model has no chat template; use text or token_ids"),
        (TEMPLATE, [{"role": "pirate", "content": "b"}], r"refuses the messages: unknown role pirate"),
        ("{{ messages[5].content }}", USER, r"refuses the messages: .*has no element 5"),
        ("{% for %}", USER, r"refuses the messages: "),
        ("{{ messages[0].content[:3] }}", says("<|endoftext|>"), r"takes apart a special token"),
        (CHATML, says("\ufdd0<|endoftext|>"), r"contain a noncharacter"),
    ],
)
def test_messages_that_cannot_be_encoded(template: Any, messages: Any, reason: str) -> None:
    tokenizer = with_template(byte_level_tokenizer(), template)
    with pytest.raises(TextError, match=reason):
        encode_chat(tokenizer, messages, literal=True)
    assert has_chat_template(tokenizer) == isinstance(template, str)


def test_one_of_several_templates_is_the_default() -> None:
    tokenizer = with_template(byte_level_tokenizer(), {"default": CHATML, "tool_use": "x"})
    assert encode_chat(tokenizer, says("b"), literal=True).ids
    assert has_chat_template(tokenizer)
