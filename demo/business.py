"""Generated business prose: invented companies, invented figures, sentences from patterns.

A pattern names word lists in braces. `{percent}` and the like are figures, drawn anew each time.
"""

import random
import re
from collections.abc import Callable

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
    "currency": "euros, dollars, pounds, francs, yen",
    "rank": "first, second, third, fourth, fifth, sixth, seventh",
    "stance": "buy, hold, sell, outperform, underperform, neutral",
}
WORDS = {name: words.split(", ") for name, words in _LISTS.items()}

PATTERNS = (
    "{company} said on {day} that {item} {rose} {percent} to {amount} in {period}, helped by {cause}.",
    "{company}'s {item} {fell} {percent} to {amount} because of {cause}.",
    "In {region}, {item} {rose} {percent}, while {unit} {fell} {percent} on {cause}.",
    "{unit} reported {item} of {amount}, compared with {amount} a year earlier.",
    "For {period}, {view} {item} between {amount} and {amount}.",
    "The board proposes a dividend of {price} a share, up from {price}, payable on {date}.",
    "{asset} {rose} {percent} on {day} after {event}, and {asset} {fell} {percent}.",
    "The {term} yield {rose} {points} basis points to {percent}, its highest since {month}.",
    "The {term} yield {fell} {points} basis points to {percent} ahead of {event}.",
    "{asset} closed at {price}, {percent} higher than the day before, as {cause} weighed less than feared.",
    "{company} agreed to buy {company} for {amount} in cash; the deal should close by {month}.",
    "The {role}, {initial} {name}, said that {cause} would last into {period}.",
    "Question: how much of the change in {item} came from {cause}? "
    "Answer, the {role}: about {percent}, and we do not expect that to repeat in {period}.",
    "Analysts at {company} cut their target from {price} to {price} and kept the rating at {stance}.",
    "Analysts raised {company} to {stance} from {stance}, with a target of {price}.",
    "Net debt stood at {amount}, or {ratio} times earnings before interest, tax and depreciation.",
    "The gross margin was {percent}, against {percent} a year before; without {cause} it was {percent}.",
    "{company} sold {term} bonds worth {amount} at a coupon of {percent}.",
    "We have lowered our forecast for {item} in {period} to {amount}: {cause} and {cause} weigh on {region}.",
    "Cash at the end of {period} was {amount}. The company repaid {amount} of its loans and drew {amount}.",
    "The company employed {count} people at the end of {month}, {count} fewer than a year before.",
    "If {cause} continues, {view} that {item} will be flat; otherwise it could rise by {percent}.",
    "Trading in {asset} was thin before {event}; {view} little change until {day}.",
    "The loan of {amount} bears interest at {percent} a year and falls due on {date}.",
    "The central bank kept its key rate at {percent}; inflation was {percent} in {month}, after {percent}.",
    "Provisions for bad loans {rose} to {amount}, and the capital ratio {fell} to {percent}.",
    "Shares of {company} {fell} {percent} to {price} after {event}.",
    "Dear shareholders, {period} was a year of change for our company, and {unit} is stronger than before.",
    "Why does it matter? Because {item} tells how much of each euro is left once the bills have been paid.",
    "{item} is what remains after {item} has been taken away; it is not the same as {item}.",
    "The market opened higher, gave up its gains by noon and ended the day little changed after {event}.",
    "Nobody at {company} would say when the plant in {region} will open again or what it has cost.",
    "For households this means that a loan of {count} {currency} costs about {price} more each month.",
    "On {date} the two sides met again, but they did not agree on how to share the costs of {unit}.",
    "There are three risks to this forecast: {cause}, {cause} and a dispute with suppliers in {region}.",
    "The fund holds {percent} in {asset}, {percent} in {asset} and the rest in cash.",
    "Good morning and welcome. We will first go through the figures and then take your questions.",
    "It was the {rank} rise in a row, and the {rank} time that {asset} moved more than {percent} in a day.",
    "New customers signed {count} contracts in {month}, most of them in {region}.",
    "Please note that past returns are no guide to the future, and that the value of {asset} can fall.",
    "Excluding {cause}, like-for-like {item} in {region} {rose} {percent}.",
)

SYLLABLES = (
    "al",
    "ber",
    "cor",
    "dan",
    "el",
    "fen",
    "gar",
    "hol",
    "is",
    "kan",
    "lor",
    "mer",
    "nor",
    "or",
    "pal",
)
ENDINGS = ("by", "don", "field", "ford", "ham", "ia", "land", "mark", "ster", "ton", "vale", "wick", "worth")
ROWS = ("Revenue", "Cost of sales", "Gross profit", "Operating costs", "Operating profit", "Interest", "Tax")


def article(rng: random.Random) -> str:
    """One to four paragraphs of one to five sentences; in some, a table."""
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
    stem = "".join(rng.sample(SYLLABLES, rng.randint(1, 2))) + rng.choice(ENDINGS)
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
