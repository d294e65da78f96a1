"""Errors of an input: pointers, the detail, and the limit of the list."""

import pytest

from app.errors import InvalidRequest
from app.submission.input_errors import REPORTED_ERRORS, InputErrors, pointer_to


def raised_by(errors: InputErrors) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        errors.check()
    return raised.value


@pytest.mark.parametrize(
    ("path", "pointer"),
    [((), ""), (("texts", "cpp", 17), "/texts/cpp/17"), (("a/b", "~"), "/a~1b/~0"), (("",), "/")],
)
def test_pointers_follow_rfc_6901(path: tuple[str | int, ...], pointer: str) -> None:
    assert pointer_to(*path) == pointer


def test_a_long_name_is_shortened_in_a_pointer() -> None:
    assert pointer_to("n" * 1_000_000) == "/" + "n" * 80 + "…"


def test_without_errors_nothing_is_raised() -> None:
    InputErrors().check()


def test_the_detail_of_one_error_is_that_error() -> None:
    errors = InputErrors()
    errors.add("must be a string", "texts", "cpp", 0)
    error = raised_by(errors)
    assert error.detail == "/texts/cpp/0: must be a string."
    assert [(place.pointer, place.detail) for place in error.errors] == [("/texts/cpp/0", "must be a string")]


def test_an_error_of_the_whole_body_is_a_sentence_about_the_body() -> None:
    errors = InputErrors()
    errors.add("must be a JSON object")
    assert raised_by(errors).detail == "The body must be a JSON object."


def test_the_detail_of_several_errors_is_the_first_and_their_number() -> None:
    errors = InputErrors()
    for index in range(3):
        errors.add("must be a string", "texts", index)
    error = raised_by(errors)
    assert error.detail == "/texts/0: must be a string. 3 errors were found."
    assert [place.pointer for place in error.errors] == ["/texts/0", "/texts/1", "/texts/2"]


def test_the_list_ends_at_its_limit_and_the_detail_counts_the_others() -> None:
    errors = InputErrors()
    for index in range(50):
        errors.add("must be a string", index)
    error = raised_by(errors)
    assert len(error.errors) == REPORTED_ERRORS == 20
    counted = "50 errors were found: the first 20 are listed, 30 more are not."
    assert error.detail == f"/0: must be a string. {counted}"


def test_places_of_parameters_start_with_a_question_mark() -> None:
    errors = InputErrors("?")
    errors.add("must not be blank", "name")
    errors.add("must be a number", "options", "window")
    errors.add("is unknown", "options", "components", 1)
    errors.add("is unknown", "options")
    errors.add_at("Idempotency-Key", "is too long")
    assert [place.pointer for place in raised_by(errors).errors] == [
        *("?name", "?window", "?components", "?options"),
        "Idempotency-Key",
    ]
