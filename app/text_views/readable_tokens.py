"""Tokens as people read them. Files have them as the vocabulary of the tokenizer spells them."""

import re
from codecs import getincrementaldecoder
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
    if any(map(_is_of_sentencepiece, strings)):
        found = [_of_sentencepiece(string) for string in strings]
    elif _are_bytes([string for string in strings if _is_in_alphabet(string)]):
        found = [_of_bytes(string) if _is_in_alphabet(string) else string for string in strings]
    else:
        found = list(strings)
    return [string.replace("\n", NEWLINE) for string in found]


def _is_of_sentencepiece(string: str) -> bool:
    """Special tokens of byte-level vocabularies can contain the sign too: `<｜begin▁of▁sentence｜>`."""
    is_byte = BYTE_OF_SENTENCEPIECE.fullmatch(string) is not None
    return is_byte or string.startswith(SPACE_OF_SENTENCEPIECE)


def _is_in_alphabet(string: str) -> bool:
    return all(character in BYTES for character in string)


def _are_bytes(strings: Sequence[str]) -> bool:
    """Whether strings in the alphabet spell bytes: one has a space or a new line, or they are valid UTF-8.

    The last character may be incomplete, since the tokens may be the beginning of a text.
    """
    joined = "".join(strings)
    if any(space in joined for space in SPACES):
        return True
    try:
        text = getincrementaldecoder("utf-8")().decode(bytes(BYTES[character] for character in joined))
    except UnicodeDecodeError:
        return False
    return not joined.startswith(text)


def _of_sentencepiece(string: str) -> str:
    if byte := BYTE_OF_SENTENCEPIECE.fullmatch(string):
        return bytes.fromhex(byte[1]).decode(errors="replace")
    return string.replace(SPACE_OF_SENTENCEPIECE, " ")


def _of_bytes(string: str) -> str:
    return bytes(BYTES[character] for character in string).decode(errors="replace")
