"""The file transitions.csv: the table of the original study.

Transition i is the contribution of layer i + 1, so the table does not contain layer 0.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy.orm import Session

from app.errors import FileNotFound
from app.files.cells import Cell, csv_line
from app.files.results import layer_rows
from app.files.rows import Row
from app.tables import Job
from layerscope.names import TRANSITIONS_COLUMNS, Component, Scope


def require_transitions(job: Job) -> None:
    """Raises: FileNotFound if the job did not measure the component `block`."""
    if Component.BLOCK not in job.options["components"]:
        raise FileNotFound(
            "transitions.csv contains the component `block`, which the job did not measure: its option"
            " `components` excludes it."
        )


def transitions_csv(session: Session, job: Job) -> Iterator[str]:
    return transition_lines(layer_rows(session, job, scope=Scope.ALL, component=Component.BLOCK))


def transition_lines(rows: Iterable[Row]) -> Iterator[str]:
    """`rows`: those of results.csv in scope `all` and component `block`."""
    yield csv_line(TRANSITIONS_COLUMNS)
    for row in rows:
        if row["layer"] > 0:
            yield csv_line(_transition(row))


def _transition(row: Row) -> tuple[Cell, ...]:
    return (
        *(row["domain"], row["layer"] - 1),
        *(row["delta_mean"], population_variance(row["delta_mean_var"], row["texts"])),
        *(row["delta_abs_mean"], population_variance(row["delta_abs_mean_var"], row["texts"])),
    )


def population_variance(sample_variance: float | None, texts: int) -> float | None:
    """The variance with ddof = 0 from that with ddof = 1, which a single text does not have: 0."""
    if texts == 1:
        return 0.0
    return None if sample_variance is None else sample_variance * (texts - 1) / texts
