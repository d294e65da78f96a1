"""What to say about a name that is not known: the most similar known one, and all of them."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_COMPARED = 80  # characters


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Without a subject: "is not a known field; did you mean text? The fields are text, pair"."""
    names = list(known)
    if not names:
        return f"is not a known {kind}: there are none here"
    similar = get_close_matches(name[:LONGEST_COMPARED], names, n=1)
    question = f"did you mean {similar[0]}? The" if similar else "the"
    return f"is not a known {kind}; {question} {kind}s are {', '.join(names)}"
