"""The file tokens.csv: what each component adds to each token of the texts with analysis `tokens`.

A text has tokens × components × layers rows, so a text is read as a whole and written in parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.errors import FileNotFound
from app.files.cells import Cell, csv_line, csv_text, safe_cell
from app.tables import Job, StoredProfile, StoredTokens, Text
from layerscope import values
from layerscope.names import LENS_COLUMNS, TOKENS_COLUMNS, Analysis, Component

ROWS_PER_PART = 50_000
TEXTS_AT_A_TIME = 1  # a text can have hundreds of megabytes


@dataclass(frozen=True)
class TokensPart:
    """Some consecutive tokens of a text.

    `values`: (t, C, L, 4) float32, nan = no value. `ranks`: (t, L) float32, nan = no value; `top1`: (t, L),
    the strings of the most probable tokens. Both are None without the logit lens.
    """

    ordinal: int
    domain: str
    first: int  # the position of the first of these tokens
    ids: list[int]
    strings: list[str]
    massive: list[bool]
    values: NDArray[np.float32]
    ranks: NDArray[np.float32] | None
    top1: list[list[str]] | None


def tokens_columns(job: Job) -> tuple[str, ...]:
    return TOKENS_COLUMNS + (LENS_COLUMNS if Analysis.LOGIT_LENS in job.analyses else ())


def tokens_csv(session: Session, job: Job) -> Iterator[str]:
    parts = tokens_parts(session, job)
    components = job.options["components"]
    yield csv_line(tokens_columns(job))
    for part in parts:
        yield _csv(part, components)


def require_tokens(job: Job) -> None:
    """Raises: FileNotFound if the job was submitted without analysis `tokens`."""
    if Analysis.TOKENS not in job.analyses:
        raise FileNotFound(
            'The job has no numbers of tokens. Submit its texts again with the option "analyses": ["tokens"].'
        )


def tokens_parts(session: Session, job: Job) -> Iterator[TokensPart]:
    """All tokens in the order of ordinals and positions."""
    statement = _texts(job).order_by(StoredTokens.ordinal).execution_options(yield_per=TEXTS_AT_A_TIME)
    for text, domain, massive in session.execute(statement):
        yield from _parts_of_text(job, text, domain, set(massive or ()))
        session.expunge(text)


def first_tokens(session: Session, job: Job, ordinal: int, most: int) -> TokensPart | None:
    """The first tokens of a text, at most `most`. None if its tokens were not stored."""
    found = session.execute(_texts(job).where(StoredTokens.ordinal == ordinal)).one_or_none()
    if found is None:
        return None
    text, domain, massive = found
    return next(_parts_of_text(job, text, domain, set(massive or ()), size=most))


def _texts(job: Job) -> Select[StoredTokens, str, list[int] | None]:
    stored = StoredTokens
    return (
        select(stored, Text.domain, StoredProfile.massive)
        .join(Text, (Text.job_id == stored.job_id) & (Text.ordinal == stored.ordinal))
        .join(
            StoredProfile,
            (StoredProfile.job_id == stored.job_id) & (StoredProfile.ordinal == stored.ordinal),
        )
        .where(stored.job_id == job.id)
    )


def _parts_of_text(
    job: Job, text: StoredTokens, domain: str, massive: set[int], size: int | None = None
) -> Iterator[TokensPart]:
    """`size`: the number of tokens of a part; None: as many as have about ROWS_PER_PART rows."""
    ids = text.token_ids
    logit_lens = Analysis.LOGIT_LENS in job.analyses
    components = len(job.options["components"])
    numbers, lens = values.decode_tokens(text.values, len(ids), components, logit_lens)
    strings = {int(number): string for number, string in text.vocabulary.items()}
    size = size or max(1, ROWS_PER_PART // (numbers.shape[1] * numbers.shape[2]))
    for start in range(0, len(ids), size):
        part = slice(start, start + size)
        ranks, top1 = (None, None) if lens is None else _predictions(lens[part], strings)
        yield TokensPart(
            ordinal=text.ordinal,
            domain=domain,
            first=start,
            ids=ids[part],
            strings=[strings[number] for number in ids[part]],
            massive=[position in massive for position in range(len(ids))[part]],
            values=numbers[part],
            ranks=ranks,
            top1=top1,
        )


def _predictions(
    lens: NDArray[np.float32], strings: dict[int, str]
) -> tuple[NDArray[np.float32], list[list[str]]]:
    """(t, L, 2) → the ranks (t, L), and the strings of the most probable tokens (t, L)."""
    ranks, top1 = lens[..., 0], lens[..., 1].astype(int).tolist()
    return ranks, [[strings[number] for number in of_token] for of_token in top1]


def _csv(part: TokensPart, components: Sequence[str]) -> str:
    return csv_text(
        [*_token_cells(part, token), component, layer, *numbers, *_lens_cells(part, token, layer, component)]
        for token, of_components in enumerate(_formatted(part.values))
        for component, of_layers in zip(components, of_components, strict=True)
        for layer, numbers in enumerate(of_layers)
    )


def _formatted(numbers: NDArray[np.float32]) -> Any:
    """The numbers as strings, in nested lists of the same shape; nan becomes an empty string.

    NumPy writes as many digits as are needed to read the same float32 again.
    """
    return np.where(np.isfinite(numbers), numbers.astype(str), "").tolist()


def _token_cells(part: TokensPart, token: int) -> tuple[Cell, ...]:
    massive = "true" if part.massive[token] else "false"
    string = safe_cell(part.strings[token])
    return part.ordinal, safe_cell(part.domain), part.first + token, part.ids[token], string, massive


def _lens_cells(part: TokensPart, token: int, layer: int, component: str) -> tuple[Cell, ...]:
    """The logit lens reads the residual that leaves a layer, so its cells are those of the block."""
    if part.top1 is None or part.ranks is None:
        return ()
    if component != Component.BLOCK:
        return None, None
    rank = part.ranks[token, layer]
    return None if np.isnan(rank) else int(rank), safe_cell(part.top1[token][layer])
