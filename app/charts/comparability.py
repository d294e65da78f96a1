"""Whether the numbers of jobs can be compared, and what else than a layer may cause a difference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app.charts.selection import UNITS, Selection
from app.schemas import JobOut
from app.tables import Job, Text
from layerscope.names import Scope, SpecialTokens

DESIGN = ("max_tokens", "window", "overflow", "special_tokens")  # options that change what is measured
COMPARED_BYTES = 2**24  # of the texts of a job; it takes too long to compare more
NO_PART = "\x1f"


class Axis(StrEnum):
    """What the layers of several jobs have in common: their number, or their place between first and last."""

    LAYER = "layer"
    DEPTH = "depth"


@dataclass(frozen=True)
class ComparedJob:
    """`letter` names it in the chart."""

    letter: str
    job: Job
    state: JobOut

    @property
    def layers(self) -> int:
        return self.state.model.layers or 0


def obstacle_of(compared: ComparedJob, selection: Selection) -> str | None:
    """Why a job does not have the selected numbers."""
    job, state, name = compared.job, compared.state, f"Job {compared.letter}"
    if job.outcome is None:
        return f"{name} is {state.status}: it can be compared after it is finished."
    if selection.component not in state.options.components:
        components = ", ".join(state.options.components)
        return f"{name} was measured without the component {selection.component}: it has {components}."
    if selection.scope not in job.scopes:
        return f"{name} was measured by a version without the scope {selection.scope}: select {Scope.REST}."
    return None


def different_layers(jobs: Sequence[ComparedJob]) -> str | None:
    """Why the layers of the jobs do not correspond to each other by their numbers."""
    if len({compared.layers for compared in jobs}) < 2:
        return None
    numbers = ", ".join(f"{compared.letter} {compared.layers}" for compared in jobs)
    return (
        f"The models have different numbers of layers ({numbers}), so that a layer of one model does not "
        "correspond to the layer with the same number in the other."
    )


def remarks(session: Session, jobs: Sequence[ComparedJob], selection: Selection) -> list[str]:
    """What else than the layers may cause a difference between the jobs."""
    found = [*_of_models(jobs, selection), *_of_options(jobs), *_of_definitions(jobs, selection)]
    return [*found, *_of_texts(session, jobs)]


def _of_models(jobs: Sequence[ComparedJob], selection: Selection) -> Iterator[str]:
    dtypes = _each([(compared, compared.state.model.dtype) for compared in jobs])
    if dtypes:
        yield f"The models computed in different number formats: {dtypes}."
    models = {(compared.state.model.source, compared.state.model.revision) for compared in jobs}
    if len(models) == 1:
        return
    yield "The jobs have different models."
    if selection.metric in UNITS:
        yield (
            f"{selection.metric} is a size of activations, and those of different models are not comparable: "
            "select relative_norm, cosine or block_influence."
        )


def _of_options(jobs: Sequence[ComparedJob]) -> Iterator[str]:
    for name in DESIGN:
        values = _each([(compared, _option(compared, name)) for compared in jobs])
        if values:
            yield f"The jobs have different values of the option {name}: {values}."


def _option(compared: ComparedJob, name: str) -> Any:
    """Jobs that were accepted before the option `special_tokens` existed were parsed."""
    value = getattr(compared.state.options, name)
    return SpecialTokens.PARSE.value if name == "special_tokens" and value is None else value


def _of_definitions(jobs: Sequence[ComparedJob], selection: Selection) -> Iterator[str]:
    """Versions may define a number differently; the provenance of each job says how."""
    factors = _each([(each, _measured_with(each).get("massive_factor")) for each in jobs])
    if factors and selection.scope == Scope.TYPICAL:
        yield f"Massive tokens have different definitions, as factors of the median norm: {factors}."
    intervals = {(compared.job.estimators or {}).get("mean_ci") for compared in jobs}
    if len(intervals) > 1:
        yield "The intervals were computed by different methods: see `estimators` in results.json."
    versions = _each([(each, _measured_with(each).get("versions", {}).get("layerscope")) for each in jobs])
    if versions:
        yield f"Different versions of Layerscope measured the jobs: {versions}."


def _measured_with(compared: ComparedJob) -> dict[str, Any]:
    return compared.job.measured_with or {}


def _each(values: Sequence[tuple[ComparedJob, Any]]) -> str:
    """The value of each job, "A 64, B none"; empty if all are equal."""
    if all(value == values[0][1] for _, value in values):
        return ""
    return ", ".join(f"{job.letter} {'none' if value is None else value}" for job, value in values)


def _of_texts(session: Session, jobs: Sequence[ComparedJob]) -> Iterator[str]:
    sizes = [
        (compared.job.text_bytes, {name: of.texts for name, of in compared.state.domains.items()})
        for compared in jobs
    ]
    if any(size != sizes[0] for size in sizes):
        yield "The jobs have different texts, which may cause differences, too."
    elif sizes[0][0] > COMPARED_BYTES:
        yield "The jobs have equally many texts and bytes. Whether the texts are the same was not checked."
    elif len({_digest(session, compared.job) for compared in jobs}) > 1:
        yield "The jobs have different texts, which may cause differences, too."
    measured = _each([(each, each.state.progress.done) for each in jobs])
    if measured:
        yield f"The numbers of measured texts are different: {measured}."


def _digest(session: Session, job: Job) -> str | None:
    """Of the texts of a job in any order, with domain and form."""
    parts = func.concat_ws(NO_PART, Text.domain, func.coalesce(Text.form, ""), Text.text)
    whole = func.string_agg(func.md5(parts), aggregate_order_by(literal(""), func.md5(parts)))
    return session.scalar(select(func.md5(whole)).where(Text.job_id == job.id))
