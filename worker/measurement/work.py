"""How far the measurement of a shard is, observed from outside: by hooks on the layers and on the head.

One batch with analyses can take minutes, so finished texts alone would be too coarse. The unit of work is one
multiplication by a weight: a layer or the head costs its number of weights for each token.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from app.jobs.reports import Report
from app.jobs.shards import ShardText
from layerscope.core import Model
from layerscope.core.model import blocks
from layerscope.core.tokenization.token_ids import TextInput
from layerscope.names import PREDICTION_ANALYSES, Analysis, Phase
from worker.observation.step_times import Step, StepTimes

# Before the first text is measured. It is 0.25 for English and about 1 for Chinese: with too small a number,
# the share would be too large at first, and then stand still.
TOKENS_PER_CHARACTER = 1.0


class Work:
    """The work of one shard. Only the thread that measures changes it; any thread may call `report`."""

    def __init__(
        self, model: Model, texts: Sequence[ShardText], analyses: Iterable[str], limit: int, times: StepTimes
    ) -> None:
        """`limit`: the largest number of tokens of a text that count."""
        self.phase = Phase.TOKENIZING
        self.times = times
        self._layers = [block.layer for block in blocks(model.module)]
        self._of_layer = _weights(self._layers[0])
        self._of_head = 0
        self._analyses = frozenset(analyses)
        self._domains = [text.domain for text in texts]
        self._characters = [min(len(str(text.text)), limit) for text in texts]
        self._sampled: Collection[int] = ()
        self._tokens: dict[int, int] = {}  # by index; of texts that cannot be measured, 0
        self._measured: Counter[str] = Counter()  # by domain
        self._done = 0  # multiplications
        self._share = 0.0

    @contextmanager
    def observed(self, head: nn.Linear | None) -> Iterator[None]:
        """While entered, the work of the layers and of the head is counted, from 0."""
        self._done, self._of_head = 0, 0 if head is None else _weights(head)
        with ExitStack() as hooks:
            for layer in self._layers:
                hooks.enter_context(layer.register_forward_pre_hook(self._layer_runs, with_kwargs=True))
            hooks.enter_context(self._layers[-1].register_forward_hook(self._layers_ran))
            if head is not None:
                hooks.enter_context(head.register_forward_pre_hook(self._head_runs))
            yield

    def tokenized(self, texts: Iterable[TextInput]) -> Iterator[TextInput]:
        """The texts. Their reader tokenizes them, and runs the layers when it has enough for a batch."""
        for text in texts:
            self.phase = Phase.TOKENIZING
            self.times.enter(Step.TOKENIZE)
            yield text

    def measured(self, index: int, tokens: int) -> None:
        """The text with this index in the shard was measured."""
        self._tokens[index] = tokens
        self._measured[self._domains[index]] += 1

    def failed(self, index: int) -> None:
        """The text with this index in the shard cannot be measured."""
        self._tokens[index] = 0

    def plan_analyses(self, indices: Collection[int]) -> None:
        self._sampled = indices

    def report(self) -> Report:
        """`share` never decreases, although the number of tokens is estimated at first."""
        planned = self._planned()
        if planned:
            self._share = max(self._share, min(self._done / planned, 1.0))
        return Report(
            phase=self.phase,
            share=self._share,
            texts=len(self._domains),
            tokens=sum(dict(self._tokens).values()),
            measured=dict(self._measured),
        )

    def _layer_runs(self, layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        states = args[0] if args else named["hidden_states"]
        every_text = len(self._tokens) == len(self._domains)
        self.phase = Phase.ANALYSING if every_text else Phase.MEASURING
        tokens = states.shape[:-1].numel()
        self._done += tokens * self._of_layer
        if layer is self._layers[0] and not every_text:
            self.times.batches.append(tokens)
            self.times.enter(Step.FORWARD)

    def _layers_ran(self, *_: Any) -> None:
        if self.times.step is Step.FORWARD:
            self.times.enter(Step.REDUCE)

    def _head_runs(self, _head: nn.Module, args: tuple[Any, ...]) -> None:
        self._done += args[0].shape[:-1].numel() * self._of_head

    def _planned(self) -> float:
        known = dict(self._tokens)
        tokens_of_known = sum(known.values())
        characters = sum(self._characters[index] for index, tokens in known.items() if tokens)
        ratio = tokens_of_known / characters if tokens_of_known else TOKENS_PER_CHARACTER
        tokens = [known.get(index, size * ratio) for index, size in enumerate(self._characters)]
        analysed = sum(tokens[index] for index in self._sampled)
        return sum(tokens) * len(self._layers) * self._of_layer + analysed * self._of_analysed_token()

    def _of_analysed_token(self) -> int:
        """One pass; without layer ℓ, the layers after it; and the head after each of these."""
        layers = len(self._layers)
        passes = layers * (layers - 1) // 2 if Analysis.ABLATION in self._analyses else 0
        heads = (layers + 1) * len(self._analyses & set(PREDICTION_ANALYSES))
        return (layers + passes) * self._of_layer + heads * self._of_head


def _weights(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())
