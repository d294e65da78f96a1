from typing import Any

import pytest

from layerscope.text_forms import LARGEST_ID, Mistake, form_of, mistake_in

MESSAGE = {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("text", "a"),
        ("token_ids", [0, LARGEST_ID]),
        ("token_ids", (1,)),
        ("messages", [MESSAGE]),
        ("messages", [{"role": "system", "content": ""}, MESSAGE]),
        ("messages", [{"role": "system", "content": " \n"}, MESSAGE]),
    ],
)
def test_valid_texts(form: str, value: object) -> None:
    assert mistake_in(form, value) is None


@pytest.mark.parametrize(
    ("form", "value", "mistake"),
    [
        ("text", "", Mistake("is empty")),
        ("text", 7, Mistake("must be a string")),
        ("text", "\ud800", Mistake("contains half of a surrogate pair, which is not a character")),
        ("token_ids", "12", Mistake("must be a list of token ids")),
        ("token_ids", {"0": 1}, Mistake("must be a list of token ids")),
        ("token_ids", None, Mistake("must be a list of token ids")),
        ("token_ids", [], Mistake("is empty")),
        ("messages", "a", Mistake("must be a list of messages")),
        ("messages", MESSAGE, Mistake("must be a list of messages")),
        ("messages", [], Mistake("is empty")),
        ("messages", ["a"], Mistake("must be an object with role and content", (0,))),
        ("messages", [MESSAGE, {"role": "user"}], Mistake("has no content", (1,))),
        ("messages", [{"content": "a"}], Mistake("has no role", (0,))),
        (
            "messages",
            [{**MESSAGE, "name": "x"}],
            Mistake("is not a known field; the fields are role, content", (0, "name")),
        ),
        ("messages", [{"role": 1, "content": "a"}], Mistake("must be a string", (0, "role"))),
        ("messages", [{"role": "", "content": "a"}], Mistake("is empty", (0, "role"))),
        (
            "messages",
            [MESSAGE, {"role": "user", "content": None}],
            Mistake("must be a string", (1, "content")),
        ),
        ("messages", [{"role": "user", "content": ["a"]}], Mistake("must be a string", (0, "content"))),
        ("messages", [{"role": "user", "content": " "}], Mistake("is empty: no message has a content")),
    ],
)
def test_mistakes_have_a_place(form: str, value: object, mistake: Mistake) -> None:
    assert mistake_in(form, value) == mistake


@pytest.mark.parametrize("value", [-1, 1.0, "1", True, None, [1], LARGEST_ID + 1, float("nan")])
def test_only_whole_numbers_are_token_ids(value: object) -> None:
    mistake = mistake_in("token_ids", [5, value])
    assert mistake == Mistake("is not a token id: use a whole number from 0 to 2147483647", (1,))


def test_the_rule_for_strings_applies_to_contents() -> None:
    def no_b(text: object) -> str | None:
        return "contains a b" if text == "b" else None

    def place(form: str, value: object) -> object:
        mistake = mistake_in(form, value, no_b)
        return mistake and mistake.path

    assert place("text", "b") == ()
    assert place("messages", [{"role": "a", "content": "b"}]) == (0, "content")
    assert place("messages", [{"role": "b", "content": "a"}]) == (0, "role")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ({"text": "a"}, "text"),
        ({"token_ids": [1], "pair": "x"}, "token_ids"),
        ({"messages": []}, "messages"),
        ({}, None),
        ({"pair": "x"}, None),
        ({"text": "a", "token_ids": [1]}, None),
    ],
)
def test_a_text_has_exactly_one_form(text: dict[str, Any], form: str | None) -> None:
    assert form_of(text) == form
