"""Generates calculations with their results."""

import math
import random
from fractions import Fraction


def sums(rng: random.Random, n: int) -> str:
    lines = []
    for _ in range(n):
        a, b = rng.randint(100, 9999), rng.randint(100, 9999)
        lines.append(rng.choice((f"{a} + {b} = {a + b}", f"{a + b} - {a} = {b}", f"{a} * {b} = {a * b}")))
    return "\n".join(lines)


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
