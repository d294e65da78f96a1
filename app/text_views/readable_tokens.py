"""Tokens as people read them. Files have them as the vocabulary of the tokenizer spells them."""

import re
from collections.abc import Sequence

SPACE_OF_SENTENCEPIECE = "▁"
BYTE_OF_SENTENCEPIECE = re.compile(r"<0x([0-9A-F]{2})>")
NEWLINE = "↵"


def _byte_alphabet() -> dict[str, int]:
    """The character by which byte-level vocabularies spell each byte: itself if it is printable."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


BYTES = _byte_alphabet()
SPACES = "ĠĊ"  # a space and a new line of these vocabularies


def readable(strings: Sequence[str]) -> list[str]:
    """With spaces, and with the characters that bytes stand for; a part of a character is "�"."""
    if any(SPACE_OF_SENTENCEPIECE in string for string in strings):
        found = [_of_sentencepiece(string) for string in strings]
    elif any(space in string for string in strings for space in SPACES):
        found = [_of_bytes(string) for string in strings]
    else:
        found = list(strings)
    return [string.replace("\n", NEWLINE) for string in found]


def _of_sentencepiece(string: str) -> str:
    if byte := BYTE_OF_SENTENCEPIECE.fullmatch(string):
        return bytes.fromhex(byte[1]).decode(errors="replace")
    return string.replace(SPACE_OF_SENTENCEPIECE, " ")


def _of_bytes(string: str) -> str:
    if not all(character in BYTES for character in string):
        return string  # a special token
    return bytes(BYTES[character] for character in string).decode(errors="replace")
