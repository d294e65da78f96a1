"""Generates sequences of numbers and describes their rules."""

import random

from samples.exercises.figures import listing


def arithmetic_sequence(rng: random.Random, n: int) -> str:
    start, step = rng.randint(-20, 60), rng.choice((3, 4, 7, 9, 11, 13, 25))
    terms = [start + step * i for i in range(n)]
    return f"{listing(terms)}, ... Each is {step} more than the one before; the next is {terms[-1] + step}."


def geometric_sequence(rng: random.Random, n: int) -> str:
    start, ratio = rng.randint(1, 7), rng.choice((2, 3, 5))
    terms = [start * ratio**i for i in range(n)]
    total = sum(terms)
    return (
        f"Geometric sequence with first term {start} and ratio {ratio}: {listing(terms)}. "
        f"The sum of these {n} terms is {start} * ({ratio}^{n} - 1) / ({ratio} - 1) = {total}."
    )


def additive_sequence(rng: random.Random, n: int) -> str:
    terms = [rng.randint(1, 9), rng.randint(2, 15)]
    while len(terms) < n:
        terms.append(terms[-2] + terms[-1])
    a, b, c = terms[-3:]
    return f"Every term is the sum of the two before it: {listing(terms)}. Check: {a} + {b} = {c}."


def collatz(rng: random.Random, _: int) -> str:
    terms = [rng.choice((7, 9, 11, 15, 18, 22, 25, 29, 33, 39, 43))]
    while terms[-1] != 1:
        last = terms[-1]
        terms.append(3 * last + 1 if last % 2 else last // 2)
    return (
        f"Halve an even number; take three times an odd one plus 1. From {terms[0]}:\n"
        + " -> ".join(map(str, terms))
        + f"\nThat is {len(terms) - 1} steps, with {max(terms)} as the highest point."
    )
