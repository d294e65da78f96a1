"""Writes numbers.json: exercises with worked answers, sequences, tables, unit conversions.

Every figure in the texts is computed here, with whole numbers, Decimal or Fraction, so that every
statement is true; what is rounded is marked with "≈" or "about". The seed is fixed:
the same Python release writes the same bytes.

    python samples/make_numbers.py
"""

import json
import math
import random
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from pathlib import Path

SEED = 20240611
TARGET = Path(__file__).with_name("numbers.json")
Maker = Callable[[random.Random, int], str]

NAMES = ("Amira", "Bruno", "Celine", "Dmitri", "Esther", "Farid", "Greta", "Hugo", "Ines", "Jonas")
GOODS = ("notebooks", "pencils", "erasers", "rulers", "folders", "lamps", "batteries", "envelopes")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def cents(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d}"


def listing(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quotient(a: int, b: int) -> str:
    """a/b with its value: exact where two decimals suffice, otherwise rounded and marked so."""
    if a % b == 0:
        return f"{a}/{b} = {a // b}"
    value = (Decimal(a) / b).quantize(Decimal("0.01"))
    return f"{a}/{b} {'=' if value * b == a else '≈'} {plain(value)}"


def sums(rng: random.Random, n: int) -> str:
    lines = []
    for _ in range(n):
        a, b = rng.randint(100, 9999), rng.randint(100, 9999)
        lines.append(rng.choice((f"{a} + {b} = {a + b}", f"{a + b} - {a} = {b}", f"{a} * {b} = {a * b}")))
    return "\n".join(lines)


def shopping(rng: random.Random, n: int) -> str:
    total, lines = 0, []
    for good in rng.sample(GOODS, n):
        count, price = rng.randint(2, 12), rng.randint(5, 180) * 5
        total += count * price
        cost = f"{count} * {cents(price)} = {cents(count * price)}"
        lines.append(f"{count} {good} at {cents(price)} each: {cost}")
    paid = (total // 5000 + 1) * 5000
    name = rng.choice(NAMES)
    close = f"In all {name} owes {cents(total)}. From {cents(paid)} the change is {cents(paid - total)}."
    return f"{name} goes to the stationer's and buys:\n" + "\n".join(lines) + "\n" + close


def journey(rng: random.Random, _: int) -> str:
    first, second = rng.randint(2, 5), rng.randint(1, 4)
    fast, slow = rng.randrange(80, 131, 10), rng.randrange(40, 71, 10)
    far = first * fast + second * slow
    return (
        f"A train runs for {first} hours at {fast} km/h and then for {second} hours at {slow} km/h. "
        f"How far does it go, and what is its average speed?\n"
        f"Distance: {first} * {fast} + {second} * {slow} = {first * fast} + {second * slow} = {far} km. "
        f"Time: {first} + {second} = {first + second} hours. "
        f"Average speed: {quotient(far, first + second)} km/h."
    )


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


def powers(rng: random.Random, n: int) -> str:
    first = rng.randint(2, 30)
    rows = [f"{x:>4} {x**2:>7} {x**3:>9}" for x in range(first, first + n)]
    return "   x     x^2       x^3\n" + "\n".join(rows)


def monthly_table(rng: random.Random, n: int) -> str:
    values = rng.sample(range(120, 981), n)
    rows = [f"{month}  {value:>6}" for month, value in zip(MONTHS[:n], values, strict=True)]
    best = MONTHS[values.index(max(values))]
    foot = f"total {sum(values):>5}\nmean {quotient(sum(values), n)}, largest in {best} ({max(values)})"
    return "units sold\n" + "\n".join(rows) + "\n" + foot


def long_multiplication(rng: random.Random, _: int) -> str:
    a, b = rng.randint(123, 987), rng.randint(123, 987)
    parts = [(a, int(digit) * 10**place) for place, digit in enumerate(reversed(str(b)))]
    rows = [f"{x} * {y} = {x * y}" for x, y in parts]
    rows.append(f"Together: {a} * {b} = {a * b}")
    return f"Multiply {a} by {b}, one digit at a time.\n" + "\n".join(rows)


def division(rng: random.Random, n: int) -> str:
    lines = []
    for _ in range(n):
        a, b = rng.randint(1000, 99999), rng.randint(7, 97)
        q, r = divmod(a, b)
        lines.append(f"{a} : {b} = {q} remainder {r}, because {q} * {b} + {r} = {a}")
    return "\n".join(lines)


def discount(rng: random.Random, _: int) -> str:
    price, off, tax = rng.randint(4, 90) * 1000, rng.choice((10, 15, 20, 25, 30)), rng.choice((5, 10, 20))
    saved = price * off // 100
    net = price - saved
    added = net * tax // 100
    return (
        f"A bicycle costs {cents(price)}. In the sale it is {off}% cheaper, "
        f"and {tax}% tax is added at the till.\n"
        f"Reduction: {off}% of {cents(price)} = {cents(saved)}; "
        f"reduced price {cents(price)} - {cents(saved)} = {cents(net)}.\n"
        f"Tax: {tax}% of {cents(net)} = {cents(added)}.\n"
        f"To pay: {cents(net)} + {cents(added)} = {cents(net + added)}."
    )


def savings(rng: random.Random, n: int) -> str:
    balance, rate = Decimal(rng.randint(5, 60) * 100), Decimal(rng.choice((2, 3, 4, 5)))
    rows = [f"{rate}% a year on {balance:.2f}; interest is cut to whole cents.", "year  interest    balance"]
    for year in range(1, n + 1):
        interest = (balance * rate / 100).quantize(Decimal("0.01"), ROUND_DOWN)
        balance += interest
        rows.append(f"{year:>4}  {interest:>8.2f}  {balance:>9.2f}")
    return "\n".join(rows)


def prime_factors(number: int) -> list[int]:
    found, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found


def factorisation(rng: random.Random, n: int) -> str:
    numbers = sorted(rng.sample(range(60, 5000, 6), n))
    return "\n".join(f"{x} = " + " * ".join(map(str, prime_factors(x))) for x in numbers)


def euclid(rng: random.Random, _: int) -> str:
    common = rng.randint(3, 24)
    a, b = common * rng.randint(40, 90), common * rng.randint(11, 39)
    lines = [f"The greatest common divisor of {a} and {b}, by Euclid's algorithm:"]
    x, y = a, b
    while y:
        lines.append(f"{x} = {x // y} * {y} + {x % y}")
        x, y = y, x % y
    lines.append(f"The last divisor is {x}, so gcd({a}, {b}) = {x} and lcm({a}, {b}) = {a * b // x}.")
    return "\n".join(lines)


def fractions(rng: random.Random, n: int) -> str:
    lines = []
    for _ in range(n):
        b, d = rng.sample(range(3, 13), 2)
        a, c = rng.randint(1, b - 1), rng.randint(1, d - 1)
        m = math.lcm(b, d)
        x, y = a * m // b, c * m // d
        raw, done = f"{x + y}/{m}", str(Fraction(x + y, m))
        tail = "" if raw == done else f" = {done}"
        lines.append(f"{a}/{b} + {c}/{d} = {x}/{m} + {y}/{m} = {raw}{tail}")
    return "\n".join(lines)


def bases(rng: random.Random, n: int) -> str:
    rows = [f"{x:>7}  {x:>12b}  {x:>6o}  {x:>5X}" for x in sorted(rng.sample(range(9, 4096), n))]
    return "decimal        binary   octal    hex\n" + "\n".join(rows)


def timetable(rng: random.Random, n: int) -> str:
    at = rng.randint(5, 9) * 60 + rng.randrange(0, 60, 5)
    began, lines = at, [f"The bus leaves the depot at {at // 60:02d}:{at % 60:02d}."]
    for stop in range(1, n + 1):
        gap = rng.randint(4, 38)
        at += gap
        lines.append(f"Stop {stop}: {gap} minutes later, at {at // 60:02d}:{at % 60:02d}.")
    hours, minutes = divmod(at - began, 60)
    lines.append(f"The whole ride takes {at - began} minutes, that is {hours} h {minutes} min.")
    return "\n".join(lines)


def spread(rng: random.Random, n: int) -> str:
    values = [rng.randint(11, 99) for _ in range(n | 1)]
    order, total = sorted(values), sum(values)
    return (
        f"Measurements: {listing(values)}.\nIn order: {listing(order)}.\n"
        f"Sum {total}, count {len(values)}, mean {quotient(total, len(values))}. "
        f"Median {order[len(order) // 2]}. Range {order[-1]} - {order[0]} = {order[-1] - order[0]}."
    )


def garden(rng: random.Random, _: int) -> str:
    a, b, path = rng.randint(22, 40), rng.randint(8, 21), rng.randint(1, 3)
    outer = (a + 2 * path) * (b + 2 * path)
    return (
        f"A garden is {a} m long and {b} m wide, with a path {path} m wide all around it outside.\n"
        f"Garden: {a} * {b} = {a * b} square metres; its fence is 2 * ({a} + {b}) = {2 * (a + b)} m long.\n"
        f"With the path: {a + 2 * path} * {b + 2 * path} = {outer} square metres.\n"
        f"The path alone covers {outer} - {a * b} = {outer - a * b} square metres."
    )


def times_table(rng: random.Random, n: int) -> str:
    first = rng.randint(3, 14)
    head = "  *" + "".join(f"{c:>6}" for c in range(2, 10))
    rows = [f"{r:>3}" + "".join(f"{r * c:>6}" for c in range(2, 10)) for r in range(first, first + n)]
    return head + "\n" + "\n".join(rows)


def pumps(rng: random.Random, _: int) -> str:
    a, b = rng.sample((2, 3, 4, 5, 6, 8, 9, 10, 12), 2)
    rate = Fraction(1, a) + Fraction(1, b)
    minutes = 60 / rate
    exact = "exactly" if minutes.denominator == 1 else "about"
    return (
        f"One pump empties the basin in {a} hours, another in {b} hours. How long do both take together?\n"
        f"In one hour they do 1/{a} + 1/{b} = {rate} of the work, so they need {1 / rate} hours, "
        f"{exact} {round(minutes)} minutes."
    )


def heads_and_legs(rng: random.Random, _: int) -> str:
    hens, goats = rng.randint(6, 40), rng.randint(4, 30)
    heads, legs = hens + goats, 2 * hens + 4 * goats
    return (
        f"On a farm there are hens and goats: {heads} heads and {legs} legs. How many of each?\n"
        f"If all were hens there would be 2 * {heads} = {2 * heads} legs. There are {legs} - {2 * heads} = "
        f"{legs - 2 * heads} more, two for each goat: {legs - 2 * heads} / 2 = {goats} goats, "
        f"and {heads} - {goats} = {hens} hens."
    )


def ages(rng: random.Random, _: int) -> str:
    elder, younger = rng.sample(NAMES, 2)
    child, gap, later = rng.randint(4, 15), rng.randint(20, 34), rng.randint(3, 12)
    total = 2 * (child + later) + gap
    return (
        f"{elder} is {gap} years older than {younger}. In {later} years they will be {total} together. "
        f"How old is {younger} now?\nLet x be the age. Then (x + {later}) + (x + {gap} + {later}) = {total}, "
        f"so 2x + {gap + 2 * later} = {total}, 2x = {2 * child}, x = {child}. {elder} is {child + gap}."
    )


def temperatures(rng: random.Random, n: int) -> str:
    first = rng.randrange(-40, 11, 5)
    pairs = [(c, Decimal(c) * 9 / 5 + 32) for c in range(first, first + 5 * n, 5)]
    rows = [f"{c} °C = {plain(f)} °F" for c, f in pairs]
    return "Celsius to Fahrenheit (F = C * 9/5 + 32)\n" + "\n".join(rows)


def lengths(rng: random.Random, n: int) -> str:
    units = (("in", "cm", "2.54"), ("ft", "m", "0.3048"), ("mi", "km", "1.609344"), ("yd", "m", "0.9144"))
    weights = (("lb", "kg", "0.45359237"), ("kg", "g", "1000"), ("h", "min", "60"), ("nmi", "km", "1.852"))
    lines = []
    for _ in range(n):
        a, b, factor = rng.choice(units + weights)
        count = rng.randint(2, 250)
        lines.append(f"{count} {a} = {count} * {factor} {b} = {plain(count * Decimal(factor))} {b}")
    return "\n".join(lines)


def recipe(rng: random.Random, _: int) -> str:
    people, guests = rng.choice(((4, 6), (4, 10), (2, 7), (6, 15), (8, 12), (5, 8)))
    ratio = Fraction(guests, people)
    lines = [f"A recipe for {people} is to feed {guests}: every amount is multiplied by {guests}/{people}."]
    for what, unit in (("flour", "g"), ("milk", "ml"), ("sugar", "g"), ("butter", "g")):
        amount = people * rng.randint(5, 60)
        lines.append(f"{what}: {amount} {unit} -> {amount * ratio} {unit}")
    return "\n".join(lines)


def readings(rng: random.Random, n: int) -> str:
    base, rows = rng.randint(800, 5000), ["day,meter_kwh,used_kwh"]
    for day in range(1, n + 1):
        used = rng.randint(3, 28)
        base += used
        rows.append(f"{day},{base},{used}")
    return "\n".join(rows)


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


def remainders(rng: random.Random, n: int) -> str:
    base, modulus = rng.randint(2, 9), rng.choice((11, 13, 17, 19, 23))
    lines = [f"Powers of {base} modulo {modulus}:"]
    lines += [f"{base}^{k} = {base**k}, remainder {base**k % modulus}" for k in range(1, n + 1)]
    return "\n".join(lines)


def quadratic(rng: random.Random, _: int) -> str:
    p, q = sorted(rng.sample(range(2, 15), 2))
    root = q - p
    return (
        f"Solve x^2 - {p + q}x + {p * q} = 0. Two numbers with sum {p + q} and product {p * q} are "
        f"{p} and {q}, so (x - {p})(x - {q}) = 0 and x = {p} or x = {q}.\n"
        f"Discriminant: {p + q}^2 - 4 * {p * q} = {(p + q) ** 2} - {4 * p * q} = {root**2} = {root}^2."
    )


def quarters(rng: random.Random, n: int) -> str:
    rows, last = ["quarter   sales  change"], rng.randrange(200, 900, 20)
    rows.append(f"Q1       {last:>6}       -")
    for quarter in range(2, n + 1):
        now = last + rng.randint(-9, 15) * 4
        rows.append(f"Q{quarter:<8}{now:>6}  {now - last:>+6}")
        last = now
    return "\n".join(rows)


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
