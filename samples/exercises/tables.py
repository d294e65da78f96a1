"""Generates tables of numbers, with sums and other results."""

import random
from decimal import ROUND_DOWN, Decimal

from samples.exercises.figures import listing, plain, quotient

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def powers(rng: random.Random, n: int) -> str:
    first = rng.randint(2, 30)
    rows = [f"{x:>4} {x**2:>7} {x**3:>9}" for x in range(first, first + n)]
    return "   x     x^2       x^3\n" + "\n".join(rows)


def times_table(rng: random.Random, n: int) -> str:
    first = rng.randint(3, 14)
    head = "  *" + "".join(f"{c:>6}" for c in range(2, 10))
    rows = [f"{r:>3}" + "".join(f"{r * c:>6}" for c in range(2, 10)) for r in range(first, first + n)]
    return head + "\n" + "\n".join(rows)


def bases(rng: random.Random, n: int) -> str:
    rows = [f"{x:>7}  {x:>12b}  {x:>6o}  {x:>5X}" for x in sorted(rng.sample(range(9, 4096), n))]
    return "decimal        binary   octal    hex\n" + "\n".join(rows)


def monthly_table(rng: random.Random, n: int) -> str:
    values = rng.sample(range(120, 981), n)
    rows = [f"{month}  {value:>6}" for month, value in zip(MONTHS[:n], values, strict=True)]
    best = MONTHS[values.index(max(values))]
    foot = f"total {sum(values):>5}\nmean {quotient(sum(values), n)}, largest in {best} ({max(values)})"
    return "units sold\n" + "\n".join(rows) + "\n" + foot


def quarters(rng: random.Random, n: int) -> str:
    rows, last = ["quarter   sales  change"], rng.randrange(200, 900, 20)
    rows.append(f"Q1       {last:>6}       -")
    for quarter in range(2, n + 1):
        now = last + rng.randint(-9, 15) * 4
        rows.append(f"Q{quarter:<8}{now:>6}  {now - last:>+6}")
        last = now
    return "\n".join(rows)


def readings(rng: random.Random, n: int) -> str:
    base, rows = rng.randint(800, 5000), ["day,meter_kwh,used_kwh"]
    for day in range(1, n + 1):
        used = rng.randint(3, 28)
        base += used
        rows.append(f"{day},{base},{used}")
    return "\n".join(rows)


def savings(rng: random.Random, n: int) -> str:
    balance, rate = Decimal(rng.randint(5, 60) * 100), Decimal(rng.choice((2, 3, 4, 5)))
    rows = [f"{rate}% a year on {balance:.2f}; interest is cut to whole cents.", "year  interest    balance"]
    for year in range(1, n + 1):
        interest = (balance * rate / 100).quantize(Decimal("0.01"), ROUND_DOWN)
        balance += interest
        rows.append(f"{year:>4}  {interest:>8.2f}  {balance:>9.2f}")
    return "\n".join(rows)


def spread(rng: random.Random, n: int) -> str:
    values = [rng.randint(11, 99) for _ in range(n | 1)]
    order, total = sorted(values), sum(values)
    return (
        f"Measurements: {listing(values)}.\nIn order: {listing(order)}.\n"
        f"Sum {total}, count {len(values)}, mean {quotient(total, len(values))}. "
        f"Median {order[len(order) // 2]}. Range {order[-1]} - {order[0]} = {order[-1] - order[0]}."
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
