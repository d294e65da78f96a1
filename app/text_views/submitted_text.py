"""One text of a job: as it was submitted, and what each layer wrote in it."""

import math
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.charts.chart import Chart, ChartSeries, Kind
from app.charts.selection import Selection
from app.errors import FileNotFound
from app.tables import Job, StoredProfile, Text
from layerscope import values as codec
from layerscope.names import METRICS

CHARACTERS_SHOWN = 20_000


@dataclass(frozen=True)
class OneText:
    """`form`: "token_ids" or "messages", whose JSON is `text`; None for a string.

    `profile` is None before the text is measured.
    """

    ordinal: int
    domain: str
    text: str
    is_cut: bool
    form: str | None
    error: str | None
    profile: StoredProfile | None


def read_text(session: Session, job_id: UUID, ordinal: int) -> OneText:
    """Raises: FileNotFound."""
    text = session.get(Text, (job_id, ordinal))
    if text is None:
        raise FileNotFound(f"The job has no text {ordinal}.")
    profile = session.scalars(
        select(StoredProfile).where(StoredProfile.job_id == job_id, StoredProfile.ordinal == ordinal)
    ).one_or_none()
    return OneText(
        ordinal,
        text.domain,
        text.text[:CHARACTERS_SHOWN],
        len(text.text) > CHARACTERS_SHOWN,
        text.form,
        text.error or (profile.error if profile else None),
        profile,
    )


def chart_of_text(job: Job, text: OneText, selection: Selection) -> Chart | None:
    """What each layer wrote in this text, a line for each component; None if the text has no values."""
    if text.profile is None or text.profile.values is None:
        return None
    components = job.options["components"]
    array = codec.decode(text.profile.values, len(components), len(job.scopes))
    chosen = array[:, job.scopes.index(selection.scope), :, METRICS.index(selection.metric)]
    layers = array.shape[2]
    last = layers - 1 if selection.last_layer is None else min(selection.last_layer, layers - 1)
    places = range(min(selection.first_layer, last), last + 1)
    return Chart(
        "text",
        "What each layer wrote in this text",
        f"{selection.metric}, scope {selection.scope}.",
        Kind.LINES,
        selection.unit,
        tuple(places),
        tuple(
            ChartSeries(name, "1", tuple(_number(float(row[place])) for place in places))
            for name, row in zip(components, chosen, strict=True)
        ),
        "texts.csv",
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
