"""Collects the training text of the demo model.

From the machine: the source code of Python's standard library; the documentation strings of that library and
of libraries that this project needs anyway; the Python reference; C and C++ headers; half of the sample texts
of this project. Generated: arithmetic and business prose.
"""

import ast
import hashlib
import json
import random
import re
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import matplotlib
import numpy
import scipy
import sqlalchemy
import statsmodels
import torch

from demo.business import article
from samples.make_numbers import PLAN

SAMPLES = Path(__file__).parents[1] / "samples"
PIECES = [piece for pieces in PLAN for piece in pieces]
DOCUMENTED = (matplotlib, numpy, scipy, sqlalchemy, statsmodels)

# A document is held out if the first byte of its hash is below this number.
FEW, HALF = 13, 128
LENGTHS = range(80, 200_000)  # characters; shorter texts contain little to learn, longer ones are tables
DOMAIN_CHARACTERS = 12_000_000  # no more than the training reads
GENERATED = 12_000  # documents per generator
SEED = 20_261_124

STANDARD_LIBRARY = Path(sysconfig.get_paths()["stdlib"])
NOT_PYTHON = {"site-packages", "dist-packages", "encodings", "pydoc_data", "test", "tests"}
NOT_CPP = {"ops"}  # a folder of PyTorch with thousands of almost equal files, one per operator
CPP_SUFFIXES = {".h", ".hpp", ".tcc", ""}  # the headers of the C++ standard library have no suffix

# The comments at the beginning of a header, usually the same licence notice in every file.
NOTICE = re.compile(r"(\s*/\*.*?\*/|\s*//[^\n]*\n)+\s*", re.DOTALL)


@dataclass(frozen=True)
class Document:
    domain: str
    text: str
    held_out: bool  # not used for training

    @classmethod
    def of(cls, domain: str, text: str, part: int = FEW) -> "Document":
        """The content decides whether it is held out, so equal files are either all held out or all used."""
        return cls(domain, text, hashlib.sha256(text.encode()).digest()[0] < part)


def documents() -> list[Document]:
    """The documents of all domains, in an order that depends only on their content."""
    python = [Document.of("python", text) for text in read_all(python_files(STANDARD_LIBRARY))]
    numerical = [path for package in DOCUMENTED for path in python_files(Path(package.__path__[0]))]
    measured = samples()
    documented = [*python, *(Document.of("prose", text) for text in read_all(numerical))]
    return in_order(
        [
            *python,
            *(replace(source, domain="prose", text=docstrings(source.text)) for source in documented),
            *(Document.of("prose", text) for text in topics.values()),
            *(Document.of("cpp", without_notice(text)) for text in read_all(cpp_files())),
            *without(generate("numbers", exercise), measured),
            *generate("finance", article),
            *measured,
        ]
    )


def samples() -> list[Document]:
    """The texts that `make profile` measures. Their domain here is "samples/" plus their own domain."""
    return [
        Document.of(f"samples/{path.stem}", text, HALF)
        for path in sorted(SAMPLES.glob("*.json"))
        for text in json.loads(path.read_text(encoding="utf-8"))
    ]


def in_order(found: Iterable[Document]) -> list[Document]:
    """Sorts by hash, which mixes each domain. Drops duplicates, lengths out of range, and what exceeds
    DOMAIN_CHARACTERS."""
    once = {(doc.domain, hashlib.sha256(doc.text.encode()).digest()): doc for doc in found}
    kept, size = [], Counter[str]()
    for _, doc in sorted(once.items(), key=itemgetter(0)):
        if len(doc.text) in LENGTHS and size[doc.domain] < DOMAIN_CHARACTERS:
            size[doc.domain] += len(doc.text)
            kept.append(doc)
    return kept


def python_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.py") if not NOT_PYTHON & set(path.relative_to(folder).parts)]


def cpp_files() -> list[Path]:
    """The headers of the compiler and of Python, if they are installed, and those of PyTorch."""
    folders = [
        Path("/usr/include/c++"),
        *Path("/usr/lib/gcc").glob("*/*/include"),
        Path(sysconfig.get_paths()["include"]),
        Path(torch.__file__).parent / "include",
    ]
    paths = (path for folder in folders for path in folder.rglob("*"))
    return [path for path in paths if path.suffix in CPP_SUFFIXES and not NOT_CPP & set(path.parts)]


def read_all(paths: Iterable[Path]) -> list[str]:
    """The contents of the files that can be read as UTF-8, with line endings converted to newlines."""
    texts = []
    for path in paths:
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):  # folders, broken links, other encodings
            continue
    return texts


def without_notice(text: str) -> str:
    notice = NOTICE.match(text)
    return text[notice.end() :] if notice else text


def docstrings(source: str) -> str:
    """The documentation strings of a module, separated by blank lines; "" if it cannot be parsed."""
    try:
        tree: Any = ast.parse(source)
    except SyntaxError:  # some files of the standard library are written for other versions of Python
        return ""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
    return "\n\n".join(text for text in found if text and len(text) in LENGTHS)


def generate(domain: str, make: Callable[[random.Random], str]) -> list[Document]:
    rng = random.Random(SEED)
    return [Document.of(domain, make(rng)) for _ in range(GENERATED)]


def without(found: Iterable[Document], measured: Iterable[Document]) -> list[Document]:
    """The documents that contain no held-out text. Short sample texts are sometimes generated by chance."""
    held_out = [doc.text for doc in measured if doc.held_out]
    return [doc for doc in found if not any(text in doc.text for text in held_out)]


def exercise(rng: random.Random) -> str:
    """One to three exercises of the kinds in `samples/numbers.json`, with different numbers."""
    return "\n\n".join(make(rng, size) for make, size in rng.choices(PIECES, k=rng.randint(1, 3)))
