"""Formats numbers."""

from decimal import Decimal


def cents(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d}"


def listing(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quotient(a: int, b: int) -> str:
    """a/b with its value: exact if two decimals suffice, otherwise rounded and marked with "≈"."""
    if a % b == 0:
        return f"{a}/{b} = {a // b}"
    value = (Decimal(a) / b).quantize(Decimal("0.01"))
    return f"{a}/{b} {'=' if value * b == a else '≈'} {plain(value)}"
