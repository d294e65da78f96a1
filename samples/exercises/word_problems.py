"""Generates word problems with their solutions."""

import random
from fractions import Fraction

from samples.exercises.figures import cents, quotient

NAMES = ("Amira", "Bruno", "Celine", "Dmitri", "Esther", "Farid", "Greta", "Hugo", "Ines", "Jonas")
GOODS = ("notebooks", "pencils", "erasers", "rulers", "folders", "lamps", "batteries", "envelopes")


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


def garden(rng: random.Random, _: int) -> str:
    a, b, path = rng.randint(22, 40), rng.randint(8, 21), rng.randint(1, 3)
    outer = (a + 2 * path) * (b + 2 * path)
    return (
        f"A garden is {a} m long and {b} m wide, with a path {path} m wide all around it outside.\n"
        f"Garden: {a} * {b} = {a * b} square metres; its fence is 2 * ({a} + {b}) = {2 * (a + b)} m long.\n"
        f"With the path: {a + 2 * path} * {b + 2 * path} = {outer} square metres.\n"
        f"The path alone covers {outer} - {a * b} = {outer - a * b} square metres."
    )


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


def recipe(rng: random.Random, _: int) -> str:
    people, guests = rng.choice(((4, 6), (4, 10), (2, 7), (6, 15), (8, 12), (5, 8)))
    ratio = Fraction(guests, people)
    lines = [f"A recipe for {people} is to feed {guests}: every amount is multiplied by {guests}/{people}."]
    for what, unit in (("flour", "g"), ("milk", "ml"), ("sugar", "g"), ("butter", "g")):
        amount = people * rng.randint(5, 60)
        lines.append(f"{what}: {amount} {unit} -> {amount * ratio} {unit}")
    return "\n".join(lines)
