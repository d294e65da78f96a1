"""Generates business prose from patterns, with invented companies and invented numbers.

`patterns.txt` contains one pattern per line. A name in braces stands for a random entry of a word list
(`WORDS`) or for a random number (`FIGURES`, for example `{percent}`).
"""

import random
import re
from collections.abc import Callable
from pathlib import Path

_LISTS = {
    "kind": (
        "Bank, Energy, Foods, Group, Holdings, Industries, Insurance, Logistics, Media, Motors, "
        "Networks, Paper, Pharma, Retail, Shipping, Software, Steel, Systems, Textiles"
    ),
    "item": (
        "revenue, net income, operating profit, gross margin, free cash flow, net debt, sales, "
        "capital expenditure, the order backlog, earnings per share, the dividend, interest expense"
    ),
    "rose": "rose, grew, increased, climbed, advanced, gained, improved, was up",
    "fell": "fell, declined, decreased, dropped, slipped, was down, shrank, weakened",
    "period": (
        "the first quarter, the second quarter, the third quarter, the fourth quarter, the half, "
        "the full year, the nine months to September, the fiscal year, the past twelve months"
    ),
    "cause": (
        "higher prices, lower volumes, strong demand, weak demand, currency effects, a warm winter, "
        "rising input costs, one-off charges, a change in the product mix, new store openings, job "
        "cuts, delayed deliveries, the acquisition, lower tax, better capacity use, restructuring "
        "costs"
    ),
    "region": "Europe, North America, Asia, Latin America, Germany, Japan, India, the home market",
    "unit": (
        "the cloud unit, the retail division, the consumer segment, the wholesale business, the "
        "services arm, the lending book, the industrial segment, the overseas business"
    ),
    "role": "chief executive, chief financial officer, chair, treasurer, head of investor relations",
    "name": (
        "Brandt, Costa, Dahl, Evans, Fischer, Grant, Haddad, Ito, Jensen, Kaya, Lopez, Moreau, "
        "Novak, Okafor, Patel, Quinn, Rossi, Silva, Tanaka, Weber, Young"
    ),
    "asset": (
        "shares, stocks, government bonds, corporate bonds, the dollar, the euro, the yen, gold, "
        "copper, crude oil, wheat, bank stocks, technology shares, the benchmark index, futures"
    ),
    "event": (
        "the rate decision, the inflation report, the jobs report, the profit warning, the auction, "
        "the central bank's statement, the trade figures, the election, the quarterly report"
    ),
    "view": (
        "investors expect, analysts expect, the board expects, management forecasts, traders see, "
        "the company still sees, the rating agency assumes"
    ),
    "month": (
        "January, February, March, April, May, June, July, August, September, October, November, December"
    ),
    "day": "Monday, Tuesday, Wednesday, Thursday, Friday",
    "term": "two-year, five-year, ten-year, thirty-year",
    "doubt": (
        "whether the worst is over, how long that will last, what the new owner will do with it, how much of "
        "it will come back, who is going to pay for it, whether the price is right, why it took so long, "
        "when the money will be paid back"
    ),
    "currency": "euros, dollars, pounds, francs, yen",
    "rank": "first, second, third, fourth, fifth, sixth, seventh",
    "syllable": "al, ber, cor, dan, el, fen, gar, hol, is, kan, lor, mer, nor, or, pal",
    "ending": "by, don, field, ford, ham, ia, land, mark, ster, ton, vale, wick, worth",
    "stance": "buy, hold, sell, outperform, underperform, neutral",
}
WORDS = {name: words.split(", ") for name, words in _LISTS.items()}

PATTERNS = Path(__file__).with_name("patterns.txt").read_text(encoding="utf-8").splitlines()
ROWS = ("Revenue", "Cost of sales", "Gross profit", "Operating costs", "Operating profit", "Interest", "Tax")


def article(rng: random.Random) -> str:
    """One to four paragraphs of one to five sentences. One article in five also contains a table."""
    parts = [_paragraph(rng) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.2:
        parts.insert(rng.randrange(len(parts) + 1), _table(rng))
    return "\n\n".join(parts)


def _paragraph(rng: random.Random) -> str:
    return " ".join(_sentence(rng) for _ in range(rng.randint(1, 5)))


def _sentence(rng: random.Random) -> str:
    text = re.sub(r"\{(\w+)\}", lambda place: _fill(rng, place[1]), rng.choice(PATTERNS))
    return text[0].upper() + text[1:]


def _fill(rng: random.Random, name: str) -> str:
    return FIGURES[name](rng) if name in FIGURES else rng.choice(WORDS[name])


def _company(rng: random.Random) -> str:
    stem = "".join(rng.sample(WORDS["syllable"], rng.randint(1, 2))) + rng.choice(WORDS["ending"])
    return f"{stem.capitalize()} {rng.choice(WORDS['kind'])}"


def _amount(rng: random.Random) -> str:
    size, currency = rng.choice(("million", "billion")), rng.choice(WORDS["currency"])
    figure = f"{rng.uniform(1, 10):.2f}" if size == "billion" else f"{rng.randint(2, 990)}"
    return rng.choice((f"{figure} {size} {currency}", f"${figure} {size}", f"EUR {figure} {size}"))


def _date(rng: random.Random) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(WORDS['month'])}"


def _table(rng: random.Random) -> str:
    first = rng.randint(2015, 2026)
    lines = [f"{'in millions':<18}{first:>8}{first + 1:>8}"]
    for name in sorted(rng.sample(ROWS, rng.randint(3, 7)), key=ROWS.index):
        lines.append(f"{name:<18}{rng.randint(5, 4_000):>8,}{rng.randint(5, 4_000):>8,}")
    return "\n".join(lines)


FIGURES: dict[str, Callable[[random.Random], str]] = {
    "company": _company,
    "amount": _amount,
    "date": _date,
    "percent": lambda rng: f"{rng.uniform(0.1, 30):.{rng.randint(0, 2)}f}%",
    "price": lambda rng: f"{rng.uniform(0.1, 400):.2f}",
    "ratio": lambda rng: f"{rng.uniform(0.3, 6):.1f}",
    "points": lambda rng: str(rng.randint(1, 25)),
    "count": lambda rng: f"{rng.randint(20, 90_000):,}",
    "initial": lambda rng: rng.choice("ABCDEFGHJKLMNPRST") + ".",
}
