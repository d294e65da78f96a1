"""Analyses within the lease of a shard: interrupted within a batch, and isolated if they fail."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker
from torch import Tensor, nn

from app.jobs import shards, store
from app.jobs.shard_plan import ShardSize
from app.jobs.shards import Claim, ShardText
from app.jobs.store import Draft
from layerscope.core import Model, load_model
from layerscope.stats.sampling import sample
from tests.support.jobs.contexts import context_of
from tests.support.jobs.jobs_by_hand import MODEL, OPTIONS, must_claim
from tests.support.models.tiny import causal_model, save
from worker.measurement.analysis_sample import SEED
from worker.measurement.shard import TRY_FROM_ATTEMPT, measure, new_work
from worker.observation.step_times import StepTimes
from worker.runtime.context import WorkerContext
from worker.runtime.lease import Lease, Stopped

Sessions = sessionmaker[Session]
TEXTS = [(domain, f"{domain} number {i}") for i in range(6) for domain in ("a", "b")]
SHARD = [ShardText(*text) for text in TEXTS]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(save(causal_model(), tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def context(model: Model, sessions: Sessions, redis: Redis) -> WorkerContext:
    return context_of(model, sessions, redis)


def claimed(sessions: Sessions, texts_per_shard: int = 100, **options: Any) -> Claim:
    draft = Draft(model=MODEL, options=OPTIONS | {"analysis_texts": 3} | options)
    with sessions.begin() as session:
        store.submit(session, draft, TEXTS, ShardSize(10**9, texts_per_shard))
    return must_claim(sessions)


@pytest.fixture
def runs(model: Model) -> Iterator[list[int]]:
    """The layers in the order in which they ran."""
    ran: list[int] = []
    with ExitStack() as hooks:
        for index, layer in enumerate(model.module.layers):
            hooks.enter_context(layer.register_forward_hook(lambda *_, index=index: ran.append(index)))
        yield ran


def test_a_stop_interrupts_an_analysis(
    context: WorkerContext, model: Model, runs: list[int], sessions: Sessions
) -> None:
    claim = claimed(sessions, analyses=["ablation"])
    last: Any = model.module.layers[-1]

    def stop(*_: Any) -> None:
        if len(runs) > model.layers:  # profiled, and now analysed
            context.deadline.stopping.set()

    with last.register_forward_hook(stop), pytest.raises(Stopped), Lease(context, claim) as lease:
        measure(context, claim, SHARD, lease, new_work(context, claim, SHARD, StepTimes()))
    assert runs == 2 * list(range(model.layers))


@pytest.mark.parametrize("analyses", [["ablation"], ["logit_lens"], ["activations"]])
@pytest.mark.parametrize("texts_per_shard", [100, 5])
def test_the_sample_does_not_depend_on_the_shards(
    context: WorkerContext, sessions: Sessions, texts_per_shard: int, analyses: list[str]
) -> None:
    claim = claimed(sessions, texts_per_shard, analyses=analyses)
    analysed: set[int] = set()
    while True:
        with sessions.begin() as session:
            texts = shards.texts(session, claim)
        with Lease(context, claim) as lease:
            rows = measure(context, claim, texts, lease, new_work(context, claim, texts, StepTimes()))
        analysed |= {row.ordinal for row in rows if row.analysis}
        with sessions.begin() as session:
            shards.commit(session, claim, rows)
        if rows[-1].ordinal == len(TEXTS) - 1:
            break
        claim = must_claim(sessions)
    places = sample(range(6), 3, SEED)
    assert analysed == {2 * place + domain for place in places for domain in (0, 1)}


class Failing(nn.Linear):
    def forward(self, _: Tensor) -> Tensor:
        raise RuntimeError("injected")


def test_a_text_whose_analysis_raises_fails_alone(context: WorkerContext, sessions: Sessions) -> None:
    """From the third attempt on; before, the whole shard is given back."""
    head = context.head
    failing = Failing(head.in_features, head.out_features)
    failing.weight = head.weight
    context.__dict__["head"] = failing
    claim = claimed(sessions, analyses=["logit_lens"])
    with Lease(context, claim) as lease, pytest.raises(RuntimeError, match="injected"):
        measure(context, claim, SHARD, lease, new_work(context, claim, SHARD, StepTimes()))
    for _ in range(TRY_FROM_ATTEMPT - 1):
        with sessions.begin() as session:
            shards.give_back(session, claim)
        claim = must_claim(sessions)
    with Lease(context, claim) as lease:
        rows = measure(context, claim, SHARD, lease, new_work(context, claim, SHARD, StepTimes()))
    failed = {row.ordinal for row in rows if row.error == "worker_crash: RuntimeError"}
    assert failed == {2 * place + domain for place in sample(range(6), 3, SEED) for domain in (0, 1)}
    assert all(row.values for row in rows if row.ordinal not in failed)


def test_the_head_is_loaded_once_and_only_where_it_is_needed(
    context: WorkerContext, sessions: Sessions
) -> None:
    for analyses in ([], ["activations"]):
        claim = claimed(sessions, analyses=analyses)
        with Lease(context, claim) as lease:
            rows = measure(context, claim, SHARD, lease, new_work(context, claim, SHARD, StepTimes()))
        with sessions.begin() as session:
            shards.commit(session, claim, rows)
        assert [bool(row.analysis) for row in rows].count(True) == (6 if analyses else 0)
        assert "head" not in context.__dict__
    assert context.head is context.head
