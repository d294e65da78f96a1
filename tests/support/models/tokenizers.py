"""Tiny tokenizers of the classes that real checkpoints have, as the files of their folders."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SPECIALS = ("<unk>", "<s>", "</s>")
# What a template of the kind of Llama 2 and ChatML writes, with BOS and the end of each message.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('unknown role ' + message.role) }}{% endif %}"
    "{{ message.role + ': ' + message.content | trim }}</s>\n{% endfor %}"
)


def llama_tokenizer(prefix: bool = True, merges: Sequence[tuple[str, str]] = ()) -> Tokenizer:
    """BPE with byte fallback as in Llama 2: spaces are ▁, and with `prefix` a ▁ is put in front."""
    letters = [*map(chr, range(33, 127)), "▁"]
    pieces = [
        *SPECIALS,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *letters,
        "".join(("▁", "▁")),
        "▁a",
        "it",
    ]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys([*pieces, *map("".join, merges)]))}
    model = models.BPE(
        vocab=vocabulary,
        merges=[("▁", "a"), ("▁", "▁"), ("i", "t"), *merges],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    spaces = [normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence([*[normalizers.Prepend("▁")] * prefix, *spaces])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIALS])
    return add_bos(tokenizer)


def add_bos(tokenizer: Tokenizer) -> Tokenizer:
    bos = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[bos])
    return tokenizer


def byte_level_tokenizer(digits: bool = True, specials: Sequence[str] = ("<|endoftext|>",)) -> Tokenizer:
    """Byte-level BPE as in GPT-2 and SmolLM2; with `digits` each digit is a token of its own."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*specials, *symbols, "12", "Ġa"]
    model = models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=[("1", "2"), ("Ġ", "a")])
    tokenizer = Tokenizer(model)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    steps = [*[pre_tokenizers.Digits(individual_digits=True)] * digits, byte_level]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(specials))
    return tokenizer


def unigram_tokenizer() -> Tokenizer:
    """Unigram whose vocabulary contains the special tokens with the best scores, as converters write them."""
    pieces = [(name, 0.0) for name in SPECIALS] + [(chr(code), -5.0) for code in [*range(33, 127), 0x2581]]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.add_special_tokens(list(SPECIALS))
    return add_bos(tokenizer)


def word_tokenizer() -> Tokenizer:
    """WordLevel, which finds `<s>` as a word of its vocabulary."""
    words = [*SPECIALS, "a", "b"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, **settings: Any) -> Path:
    """tokenizer.json, and tokenizer_config.json with these settings."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return save_settings(folder, **settings)


def save_settings(folder: Path, **settings: Any) -> Path:
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**names, **settings}))
    return folder


def train_sentencepiece(sentences: Sequence[str], **options: Any) -> bytes:
    """The contents of a tokenizer.model. By default its options are those of Llama 2."""
    from sentencepiece import SentencePieceTrainer

    like_llama: dict[str, Any] = {
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "split_digits": True,
        "allow_whitespace_only_pieces": True,
        "vocab_size": 400,
    }
    file = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=file, minloglevel=2, **{**like_llama, **options}
    )
    return file.getvalue()
