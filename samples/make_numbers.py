"""Writes numbers.json: exercises with solutions, sequences, tables and unit conversions.

The functions in `exercises/` compute every number with whole numbers, Decimal or Fraction, so all statements
are true. Rounded values are marked with "≈" or "about". The seed is fixed: the same version of Python writes
the same bytes.

    python -m samples.make_numbers
"""

import json
import random
from collections.abc import Callable
from pathlib import Path

from samples.exercises.calculations import (
    division,
    euclid,
    factorisation,
    fractions,
    long_multiplication,
    quadratic,
    remainders,
    sums,
)
from samples.exercises.sequences import additive_sequence, arithmetic_sequence, collatz, geometric_sequence
from samples.exercises.tables import (
    bases,
    lengths,
    monthly_table,
    powers,
    quarters,
    readings,
    savings,
    spread,
    temperatures,
    times_table,
)
from samples.exercises.word_problems import (
    ages,
    discount,
    garden,
    heads_and_legs,
    journey,
    pumps,
    recipe,
    shopping,
    timetable,
)

SEED = 20240611
TARGET = Path(__file__).with_name("numbers.json")
Maker = Callable[[random.Random, int], str]

PLAN: tuple[tuple[tuple[Maker, int], ...], ...] = (
    ((sums, 4),),
    ((arithmetic_sequence, 7),),
    ((additive_sequence, 8),),
    ((factorisation, 12), (geometric_sequence, 6)),
    ((division, 1),),
    ((lengths, 3),),
    ((fractions, 17),),
    ((geometric_sequence, 8),),
    ((pumps, 1),),
    ((quadratic, 1), (arithmetic_sequence, 11), (collatz, 1)),
    ((heads_and_legs, 1), (fractions, 5)),
    ((ages, 1), (discount, 1)),
    ((journey, 1),),
    ((discount, 1),),
    ((long_multiplication, 1), (sums, 14)),
    ((monthly_table, 12), (timetable, 6)),
    ((temperatures, 14), (quarters, 6)),
    ((euclid, 1), (factorisation, 5)),
    ((shopping, 7),),
    ((savings, 16),),
    ((powers, 20),),
    ((spread, 21), (spread, 12), (journey, 1)),
    ((garden, 1), (division, 3)),
    ((collatz, 1), (additive_sequence, 9)),
    ((bases, 16),),
    ((timetable, 12),),
    ((recipe, 1), (fractions, 6)),
    ((times_table, 11),),
    ((remainders, 17),),
    ((lengths, 17),),
    ((readings, 31), (savings, 5)),
    ((quarters, 12), (arithmetic_sequence, 10)),
    ((sums, 45),),
    ((journey, 1), (ages, 1), (recipe, 1)),
    ((shopping, 6), (spread, 9)),
    ((pumps, 1), (heads_and_legs, 1), (quadratic, 1)),
    ((monthly_table, 12), (quarters, 8), (spread, 15)),
    ((discount, 1), (savings, 12)),
    ((division, 12), (factorisation, 14)),
    ((temperatures, 18), (lengths, 12)),
    ((bases, 10), (remainders, 10)),
    ((euclid, 1), (long_multiplication, 1), (fractions, 9), (division, 4)),
    ((garden, 1), (recipe, 1), (timetable, 8), (shopping, 5)),
    ((powers, 24), (times_table, 12)),
    ((ages, 1), (journey, 1), (discount, 1), (heads_and_legs, 1), (pumps, 1), (quadratic, 1), (garden, 1)),
    ((readings, 30), (monthly_table, 12), (savings, 16), (bases, 14), (lengths, 6)),
)


def main() -> None:
    rng = random.Random(SEED)
    texts = ["\n\n".join(make(rng, size) for make, size in pieces) for pieces in PLAN]
    TARGET.write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
