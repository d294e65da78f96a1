"""The texts whose single values are compared, and these values, which a temporary file keeps."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedRandom
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.tables import Job
from layerscope import values as codec
from layerscope.arrays import Array

# A row with the attributes of StoredProfile, of a text without error, and its `domain`.
MeasuredText = Any

# Memory for the values of a job's texts in one component and scope. If a domain would take more, evenly
# spaced texts represent it where single values are needed; the moments always include all texts.
HELD_BYTES = 64 * 2**20
TEXTS_AT_A_TIME = 64


@dataclass(frozen=True)
class DomainTexts:
    """The texts of one domain, in ordinal order; `tokens` is 0 if a text could not be measured."""

    ordinals: NDArray[np.int64]
    places: NDArray[np.int64]  # in a paired job, texts of two domains with the same place are partners
    tokens: Array

    def at(self, which: NDArray[np.bool_]) -> "DomainTexts":
        return DomainTexts(self.ordinals[which], self.places[which], self.tokens[which])


class ComparedTexts:
    """The texts of the domains that are compared: those with at least one measured text.

    Args:
        texts: all texts of each domain of the job.
        file: a temporary file, for up to C · S · HELD_BYTES.
    """

    def __init__(self, job: Job, texts: Mapping[str, DomainTexts], file: BufferedRandom) -> None:
        self._job, self._file = job, file
        self.texts = {domain: of for domain, of in texts.items() if of.tokens.any()}
        self.chosen: Mapping[str, DomainTexts] = {}
        self._ordinals = np.empty(0, np.int64)  # of the chosen texts
        self._shape = (0, 0, 0, 0)  # of the values of a text: (C, S, L, M)

    def keeping(self, measured: Iterable[MeasuredText]) -> Iterator[MeasuredText]:
        """Passes the measured texts on, in ordinal order, and keeps the values of the chosen ones.

        Raises: RuntimeError at the end if one of the chosen texts was not among them.
        """
        components, scopes = len(self._job.options["components"]), len(self._job.scopes)
        kept = 0
        for text in measured:
            if len(self.texts) > 1:  # a single domain is not compared
                values = codec.decode(text.values, components, scopes)
                if not self.chosen:
                    self._choose(values)
                if kept < len(self._ordinals) and text.ordinal == self._ordinals[kept]:
                    self._file.write(values.data)
                    kept += 1
            yield text
        if kept < len(self._ordinals):
            raise RuntimeError(f"only {kept} of {len(self._ordinals)} texts to be compared have values")

    def _choose(self, values: Array) -> None:
        """`values`: of any text, (C, S, L, M)."""
        most = HELD_BYTES // (values[0, 0].nbytes * len(self.texts))
        self.chosen = spaced(self.texts, most, together=bool(self._job.options.get("paired")))
        self._ordinals = np.sort(np.concatenate([of.ordinals for of in self.chosen.values()]))
        self._shape = values.shape

    def values(self, component: int, scope: int) -> dict[str, Array]:
        """(n, L, M) float64 for each domain: those of its chosen texts in one component and scope."""
        found = np.empty((len(self._ordinals), *self._shape[2:]))
        stored = np.empty((TEXTS_AT_A_TIME, *self._shape))
        self._file.seek(0)
        for start in range(0, len(found), TEXTS_AT_A_TIME):
            some = found[start : start + TEXTS_AT_A_TIME]
            self._file.readinto(stored[: len(some)].data)
            some[:] = stored[: len(some), component, scope]
        return {
            domain: found[np.searchsorted(self._ordinals, of.ordinals)] for domain, of in self.chosen.items()
        }


def spaced(texts: Mapping[str, DomainTexts], most: int, *, together: bool) -> dict[str, DomainTexts]:
    """At most `most` measured texts of each domain, evenly spaced.

    If `together`, the places are the same in all domains, and texts that cannot have a partner are omitted.
    """
    ends = {domain: of.places.max() + 1 for domain, of in texts.items()}
    if together:
        ends = dict.fromkeys(ends, max(ends.values()))
    return {domain: _at_spaced_places(of, most, ends[domain]) for domain, of in texts.items()}


def _at_spaced_places(texts: DomainTexts, most: int, end: int) -> DomainTexts:
    held = texts.at((texts.tokens > 0) & (texts.places >= 0))
    return held.at(held.places * most // end > (held.places - 1) * most // end)
