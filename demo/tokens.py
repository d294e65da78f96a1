"""Turns documents into training batches: the tokenizer, the token stream of a domain, and the batches."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
BOS_ID, EOS_ID = 0, 1
NEW_LINE = "Ċ"  # the newline in a byte-level vocabulary

Ids = npt.NDArray[np.uint16]


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE without unknown tokens. BOS precedes every text; each digit is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, BOS_ID)]
    )
    wrapper: Any = PreTrainedTokenizerFast
    wrapped: PreTrainedTokenizerFast = wrapper(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS)
    return wrapped


@dataclass(frozen=True)
class Stream:
    """The documents of a domain in sequence, with EOS after each document.

    `starts`: the indices at which a line begins; the rows of a batch begin there.
    """

    ids: Ids
    starts: npt.NDArray[np.intp]

    def row(self, rng: random.Random, length: int) -> list[int]:
        """BOS and `length` tokens from a random start."""
        last = int(np.searchsorted(self.starts, len(self.ids) - length, side="right"))
        start = int(self.starts[rng.randrange(last)])
        return [BOS_ID, *self.ids[start : start + length].tolist()]


def stream(tokenizer: Any, texts: Sequence[str]) -> Stream:
    tokens = (ids for text in texts for ids in (*encode(tokenizer, text)[1:], EOS_ID))
    ids = np.fromiter(tokens, dtype=np.uint16)
    ends = [EOS_ID, *(number for token, number in tokenizer.get_vocab().items() if token.endswith(NEW_LINE))]
    return Stream(ids, np.flatnonzero(np.isin(np.concatenate(([EOS_ID], ids[:-1])), ends)))


def encode(tokenizer: Any, text: str) -> list[int]:
    """BOS and the tokens of the text."""
    ids: list[int] = tokenizer(text)["input_ids"]
    return ids


def batch(
    streams: dict[str, Stream], shares: dict[str, float], rng: random.Random, rows: int, length: int
) -> torch.Tensor:
    """(rows, 1 + length) int64. The domain of each row is drawn with the probabilities `shares`."""
    domains = rng.choices(list(shares), list(shares.values()), k=rows)
    return torch.tensor([streams[domain].row(rng, length) for domain in domains])
