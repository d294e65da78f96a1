"""The selection of the texts that are analysed, because analysing all texts would take too long."""

from collections.abc import Iterable
from hashlib import blake2b
from heapq import nsmallest


def sample(ordinals: Iterable[int], count: int, seed: int) -> list[int]:
    """A simple random sample without replacement: the ordinals with the smallest hashes of seed and ordinal.

    The sample is the same in every process and for every order of `ordinals`. The ordinals can be divided:
    the sample of the samples of the parts is the sample of the whole. A larger count adds ordinals and
    removes none.

    Args:
        ordinals: read once; at most `count` of them are held in memory.
    Returns: `count` ordinals, or all if there are fewer, in ascending order.
    Source: bottom-k sampling, Cohen and Kaplan 2007.
    """

    def rank(ordinal: int) -> bytes:
        return blake2b(f"{seed}:{ordinal}".encode(), digest_size=16).digest()

    return sorted(nsmallest(count, ordinals, key=rank))
