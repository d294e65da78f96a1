"""Which texts are analysed, where all would cost too much."""

from collections.abc import Iterable
from hashlib import blake2b
from heapq import nsmallest


def sample(ordinals: Iterable[int], count: int, seed: int) -> list[int]:
    """A simple random sample without replacement: those with the smallest hashes of seed and ordinal.

    The same in every process, whatever the order of `ordinals` and however they are cut: the sample of a
    whole is the sample of the samples of its parts. A larger count adds ordinals and drops none.

    Args:
        ordinals: read once; no more than `count` are held.
    Returns: `count` of them, or all if there are fewer, in ascending order.
    Source: bottom-k sampling, Cohen and Kaplan 2007.
    """

    def rank(ordinal: int) -> bytes:
        return blake2b(f"{seed}:{ordinal}".encode(), digest_size=16).digest()

    return sorted(nsmallest(count, ordinals, key=rank))
