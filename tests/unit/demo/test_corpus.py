"""What the demo model is trained on: found anywhere, each text on one side, every sum right."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from demo import corpus
from demo.business import article
from demo.corpus import (
    Document,
    docstrings,
    exercise,
    generate,
    in_order,
    python_files,
    read_all,
    samples,
    without,
    without_notice,
)

LINE = "line" + 30 * ", line"


def test_the_same_text_is_on_the_same_side_in_every_domain() -> None:
    sides = [Document.of("python", f"{LINE}{number}").held_out for number in range(2_000)]
    assert sides == [Document.of("prose", f"{LINE}{number}").held_out for number in range(2_000)]
    assert 60 < sum(sides) < 150  # 5 %


def test_order_and_choice_depend_on_the_contents_alone() -> None:
    found = [Document.of("cpp", f"{LINE}{number}") for number in range(20)]
    unfit = [Document.of("cpp", "short"), Document.of("cpp", corpus.LENGTHS.stop * "x"), found[3]]
    assert in_order([*reversed(found), *unfit]) == in_order(found)
    assert sorted(doc.text for doc in in_order(found)) == sorted(doc.text for doc in found)
    assert in_order(found) != found


def test_a_domain_ends_where_there_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "DOMAIN_CHARACTERS", 3 * len(LINE))
    found = [Document.of(domain, f"{LINE}{number}") for domain in ("cpp", "prose") for number in range(9)]
    assert [doc.domain for doc in in_order(found)] == 3 * ["cpp"] + 3 * ["prose"]


def test_docstrings_come_without_the_code() -> None:
    source = (
        f'"""{LINE}"""\nimport this\n\n\ndef f():\n    """{LINE} of f"""\n\n\ndef g():\n    """Short."""\n'
    )
    assert docstrings(source) == f"{LINE}\n\n{LINE} of f"
    assert docstrings("print 'of another version'") == ""


@pytest.mark.parametrize(
    "notice",
    ["/* Copyright */\n", "// Vectors -*- C++ -*-\n\n// Copyright\n// more\n\n", "  /* a\n b */ /* c */\n"],
)
def test_a_header_comes_without_its_notice(notice: str) -> None:
    assert without_notice(notice + "#pragma once // x\n") == "#pragma once // x\n"
    assert without_notice("#pragma once\n/* stays */") == "#pragma once\n/* stays */"


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text("größer")
    (tmp_path / "b.h").write_bytes("größer".encode("latin-1"))
    (tmp_path / "c.h").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d.h").mkdir()
    assert read_all(sorted(tmp_path.iterdir())) == ["größer"]


def test_of_python_only_the_library_itself_is_taken(tmp_path: Path) -> None:
    for name in ("a.py", "b/c.py", "test/d.py", "site-packages/e/f.py", "b/g.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert {path.name for path in python_files(tmp_path)} == {"a.py", "c.py"}


def test_there_is_c_plus_plus_even_without_a_compiler() -> None:
    pytorch = [path for path in corpus.cpp_files() if path.is_relative_to(Path(torch.__file__).parent)]
    assert len(read_all(pytorch[:100])) > 50
    assert not [path for path in pytorch if "ops" in path.parts]


def test_what_is_calculated_is_right() -> None:
    rng = random.Random(1)
    text = "\n".join(exercise(rng) for _ in range(300))
    found = re.findall(r"^(\d+) ([-+*]) (\d+) = (-?\d+)$", text, re.MULTILINE)
    assert len(found) > 200
    for a, sign, b, result in found:
        expected = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}
        assert int(result) == expected[sign]


@pytest.mark.parametrize("make", [exercise, article])
def test_the_generators_write_the_same_every_time(make: Callable[[random.Random], str]) -> None:
    one, two = ([make(rng) for _ in range(200)] for rng in (random.Random(5), random.Random(5)))
    assert one == two
    assert len(set(one)) > 190
    assert not [text for text in one if re.search(r"[{}]", text)]  # a place that nothing filled


def test_generated_documents_are_split_like_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "GENERATED", 100)
    assert generate("numbers", exercise) == [
        Document.of("numbers", doc.text) for doc in generate("numbers", exercise)
    ]


def test_half_of_the_sample_texts_of_every_domain_are_held_out() -> None:
    found = samples()
    assert {doc.domain for doc in found} == {
        f"samples/{name}" for name in ("cpp", "finance", "numbers", "python")
    }
    for domain in {doc.domain for doc in found}:
        sides = [doc.held_out for doc in found if doc.domain == domain]
        assert 0.3 < sum(sides) / len(sides) < 0.7


def test_generated_numbers_hold_no_text_that_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "GENERATED", 1_000)
    numbers, measured = generate("numbers", exercise), samples()
    held_out = [doc.text for doc in measured if doc.held_out]
    assert any(text in doc.text for text in held_out for doc in numbers)
    assert not any(text in doc.text for text in held_out for doc in without(numbers, measured))
