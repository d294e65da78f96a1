"""The work of a shard is known while it is done, also within a batch, and adds up to the plan."""

from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import store
from app.jobs.reports import Report
from app.jobs.shard_plan import ShardSize
from app.jobs.shards import ShardText, TextResult
from app.jobs.store import Draft, StoredText
from layerscope.core import Model, load_model
from tests.support.jobs.contexts import context_of
from tests.support.jobs.jobs_by_hand import MODEL, OPTIONS, must_claim
from tests.support.models.tiny import causal_model, save
from worker.measurement.shard import measure, new_work
from worker.observation.step_times import StepTimes
from worker.runtime.lease import Lease

Sessions = sessionmaker[Session]
FAILED = ShardText("b", "too large", "the text is too large")
SHARD = [ShardText("a", f"{i} " * 5 * i) for i in range(1, 9)] + [ShardText("b", "y" * 40)] * 7 + [FAILED]
ANALYSES = [[], ["ablation"], ["logit_lens"], ["ablation", "logit_lens", "tokens"], ["activations"]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(save(causal_model(), tmp_path_factory.mktemp("tiny")))


def observed(
    model: Model, sessions: Sessions, redis: Redis, **options: Any
) -> tuple[list[Report], Report, list[TextResult]]:
    """The reports before each layer, the last one, and the rows of the texts."""
    draft = Draft(model=MODEL, options=OPTIONS | {"analysis_texts": 4} | options)
    with sessions.begin() as session:
        texts = [StoredText(text.domain, str(text.text), error=text.error) for text in SHARD]
        store.submit(session, draft, texts, ShardSize(10**9, 100))
    context, claim, found = context_of(model, sessions, redis), must_claim(sessions), []
    work = new_work(context, claim, SHARD, StepTimes())
    with ExitStack() as hooks, Lease(context, claim) as lease:
        for layer in model.module.layers:
            hooks.enter_context(layer.register_forward_hook(lambda *_: found.append(work.report())))
        rows = measure(context, claim, SHARD, lease, work)
    return found, work.report(), rows


@pytest.mark.parametrize("analyses", ANALYSES, ids="+".join)
def test_the_work_that_was_done_is_the_work_that_was_planned(
    model: Model, sessions: Sessions, redis: Redis, analyses: list[str]
) -> None:
    reports, last, _ = observed(model, sessions, redis, analyses=analyses)
    assert last.share == pytest.approx(1, abs=1e-12)
    shares = [report.share for report in reports]
    assert shares == sorted(shares)
    assert len(set(shares)) >= model.layers  # also within a batch
    assert shares[-2] < 1  # not more work than planned
    assert last.measured == {"a": 8, "b": 7}
    assert last.texts == 16


def test_failed_texts_are_work_and_were_not_measured(model: Model, sessions: Sessions, redis: Redis) -> None:
    _, last, rows = observed(model, sessions, redis, max_tokens=60, overflow="fail")
    measured = [row for row in rows if row.error is None]
    assert 0 < len(measured) < len(rows) - 1  # not only the text that had failed before
    assert last.measured == Counter(row.domain for row in measured)
    assert last.tokens == sum(row.tokens for row in measured)
    assert last.share == pytest.approx(1, abs=1e-12)


def test_phases_follow_each_other(model: Model, sessions: Sessions, redis: Redis) -> None:
    reports, _, _ = observed(model, sessions, redis, analyses=["ablation"])
    phases = [report.phase for report in reports]
    assert list(dict.fromkeys(phases)) == ["measuring", "analysing"]
    assert phases == sorted(phases, reverse=True)


def test_long_texts_count_as_far_as_they_are_measured(model: Model, sessions: Sessions, redis: Redis) -> None:
    reports, last, _ = observed(model, sessions, redis, max_tokens=6)
    assert last.share == pytest.approx(1, abs=1e-12)
    assert last.tokens == 15 * 6
    assert reports[0].share == pytest.approx(1 / model.layers, rel=0.1)  # one batch; all texts are longer
