"""Generated exercises: every statement in them is true."""

import math
import random
from fractions import Fraction

PEOPLE = ("Anna", "Ben", "Clara", "David", "Ella", "Felix", "Hanna", "Ivan", "Julia", "Karl", "Lena", "Omar")
THINGS = ("apples", "books", "boxes", "cards", "chairs", "coins", "eggs", "keys", "nails", "plates", "stamps")
OPERATIONS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}


def exercise(rng: random.Random) -> str:
    """One to four of the kinds below, a blank line between them."""
    return "\n\n".join(rng.choice(KINDS)(rng) for _ in range(rng.randint(1, 4)))


def _number(rng: random.Random) -> int:
    return rng.randrange(1, 10 ** rng.randint(1, 4))


def _operations(rng: random.Random) -> str:
    lines = []
    for _ in range(rng.randint(2, 12)):
        a, b, sign = _number(rng), _number(rng), rng.choice(list(OPERATIONS))
        lines.append(f"{a} {sign} {b} = {OPERATIONS[sign](a, b)}")
    return "\n".join(lines)


def _quotients(rng: random.Random) -> str:
    lines = []
    for _ in range(rng.randint(1, 8)):
        a, b = _number(rng) + 100, rng.randint(2, 60)
        lines.append(
            f"{a} divided by {b} is {a // b} with remainder {a % b}: {b} * {a // b} + {a % b} = {a}."
        )
    return "\n".join(lines)


def _progression(rng: random.Random) -> str:
    first, step, count = rng.randint(-50, 200), rng.randint(2, 40), rng.randint(4, 14)
    terms = [first + step * place for place in range(count)]
    shown = ", ".join(map(str, terms))
    return (
        f"The sequence starts with {first} and grows by {step}: {shown}.\n"
        f"Its {count} terms have the sum {sum(terms)}; the next term is {terms[-1] + step}."
    )


def _doubling(rng: random.Random) -> str:
    first, factor, count = rng.randint(1, 9), rng.randint(2, 5), rng.randint(4, 9)
    terms = [first * factor**place for place in range(count)]
    return f"Start with {first} and multiply by {factor} each time: " + ", ".join(map(str, terms)) + "."


def _powers(rng: random.Random) -> str:
    base = rng.randint(2, 12)
    return "\n".join(f"{base}^{place} = {base**place}" for place in range(1, rng.randint(4, 12)))


def _fractions(rng: random.Random) -> str:
    lines = []
    for _ in range(rng.randint(1, 8)):
        a, b = (Fraction(rng.randint(1, 11), rng.randint(2, 12)) for _ in range(2))
        sign, result = rng.choice((("+", a + b), ("*", a * b)))
        lines.append(f"{a} {sign} {b} = {result}")
    return "\n".join(lines)


def _divisors(rng: random.Random) -> str:
    a, b = rng.randint(4, 400), rng.randint(4, 400)
    return (
        f"The greatest common divisor of {a} and {b} is {math.gcd(a, b)}, "
        f"their least common multiple is {math.lcm(a, b)}."
    )


def _factors(rng: random.Random) -> str:
    return "\n".join(f"{n} = {_product(n)}" for n in sorted(rng.sample(range(12, 3_000), rng.randint(2, 12))))


def _product(number: int) -> str:
    factors, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0 and number > divisor:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return " * ".join(map(str, [*factors, number]))


def _table(rng: random.Random) -> str:
    columns = rng.sample(THINGS, rng.randint(2, 4))
    rows = [[rng.randint(0, 900) for _ in columns] for _ in range(rng.randint(3, 12))]
    total = [sum(values) for values in zip(*rows, strict=True)]
    lines = ["day " + "".join(f"{name:>9}" for name in columns)]
    lines += [f"{day:<4}" + "".join(f"{value:>9}" for value in row) for day, row in enumerate(rows, 1)]
    return "\n".join([*lines, "all " + "".join(f"{value:>9}" for value in total)])


def _story(rng: random.Random) -> str:
    giver, taker = rng.sample(PEOPLE, 2)
    thing, had, gave, price = rng.choice(THINGS), rng.randint(20, 99), rng.randint(2, 19), rng.randint(2, 30)
    return (
        f"{giver} has {had} {thing} and gives {gave} of them to {taker}. How many are left?\n"
        f"{had} - {gave} = {had - gave}, so {giver} has {had - gave} {thing} left. "
        f"{taker} sells the {gave} {thing} for {price} each: {gave} * {price} = {gave * price}."
    )


def _percentages(rng: random.Random) -> str:
    lines = []
    for _ in range(rng.randint(1, 6)):
        percent, whole = rng.randrange(5, 100, 5), rng.randint(1, 90) * 20
        lines.append(f"{percent}% of {whole} is {percent * whole // 100}.")
    return "\n".join(lines)


def _equation(rng: random.Random) -> str:
    a, x, b = rng.randint(2, 19), rng.randint(2, 40), rng.randint(1, 90)
    return f"Solve {a}x + {b} = {a * x + b}. Then {a}x = {a * x}, so x = {a * x} / {a} = {x}."


KINDS = (
    _operations,
    _quotients,
    _progression,
    _doubling,
    _powers,
    _fractions,
    _divisors,
    _factors,
    _table,
    _story,
    _percentages,
    _equation,
)
