"""Finds blocks of code that occur more than once."""

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tools.structure.sources import Check, Source, Violation, place_of

LINES_PER_DUPLICATE = 8  # a longer block is a violation

CodeLine = tuple[int, str]  # line number and normalised text


def check_duplicates(sources: Sequence[Source]) -> Check:
    found = sorted(duplicates(sources), reverse=True)
    violations = tuple(
        Violation(place, f"{length} lines of code are the same as at {other}")
        for length, place, other in found
    )
    longest = f"{found[0][0]} lines" if found else "none"
    return Check("duplicate blocks", f"<= {LINES_PER_DUPLICATE} lines", longest, violations)


def duplicates(sources: Sequence[Source]) -> Iterator[tuple[int, str, str]]:
    """Length and both places of each block of more than `LINES_PER_DUPLICATE` equal lines of code.

    Blank lines, comments, imports, indentation and the layout within a line do not count.
    """
    size = LINES_PER_DUPLICATE + 1
    code = [code_lines(source) for source in sources]
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for file, lines in enumerate(code):
        for start in range(len(lines) - size + 1):
            places[tuple(text for _, text in lines[start : start + size])].append((file, start))
    for same in places.values():
        for (file, start), (other_file, other_start) in pairwise(same):
            is_overlap = file == other_file and other_start < start + size
            if is_overlap or _equal_before(code, file, start, other_file, other_start):
                continue
            length = _equal_lines(code[file][start:], code[other_file][other_start:])
            yield (
                length,
                place_of(sources[other_file], code[other_file][other_start][0]),
                place_of(sources[file], code[file][start][0]),
            )


def _equal_before(code: list[list[CodeLine]], file: int, start: int, other: int, other_start: int) -> bool:
    """Whether the pair of blocks is the continuation of one that begins a line earlier."""
    if not (start and other_start):
        return False
    return code[file][start - 1][1] == code[other][other_start - 1][1]


def _equal_lines(lines: list[CodeLine], others: list[CodeLine]) -> int:
    length = 0
    for (_, text), (_, other) in zip(lines, others, strict=False):
        if text != other:
            break
        length += 1
    return length


def code_lines(source: Source) -> list[CodeLine]:
    """The lines of code of a file, without imports. A string of several lines is one line."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    imports = {
        line
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    texts: dict[int, list[str]] = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in skipped and token.string and token.start[0] not in imports:
            texts[token.start[0]].append(token.string)
    return [(line, " ".join(words)) for line, words in sorted(texts.items())]
