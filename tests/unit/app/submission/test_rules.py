"""The rules for submissions, one by one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import LimitExceeded
from app.schemas import JobRequest, Options
from app.settings import Settings
from app.submission import rules
from app.submission.input_errors import InputErrors
from app.submission.rules import KnownModel, KnownModels
from layerscope.names import ANALYSES, COMPONENTS
from layerscope.text_forms import pair_mistake, text_mistake
from tests.support.jobs.submissions import JSON, NAMES, TEXTS

MODELS: KnownModels = {"demo": KnownModel(2048), "other": KnownModel()}


def found(errors: InputErrors) -> list[tuple[str, str]]:
    return [(error.pointer, error.detail) for error in errors.to_exception().errors] if errors.count else []


def request_of(errors: InputErrors, **members: Any) -> JobRequest | None:
    return rules.read_request({"texts": [], **members}, errors)


@given(TEXTS)
def test_a_text_with_a_visible_character_is_valid(text: str) -> None:
    assert text_mistake(text) is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (None, "must be a string"),
        (1, "must be a string"),
        (["a"], "must be a string"),
        ("", "is empty or contains only white space"),
        (" \n\t\u3000", "is empty or contains only white space"),
        ("a\0b", "contains a NUL character, which cannot be stored"),
        ("a\ud800", "contains half of a surrogate pair, which is not a character"),
        ("\udc00a", "contains half of a surrogate pair, which is not a character"),
    ],
)
def test_any_other_text_is_told_what_is_wrong(text: Any, wrong: str) -> None:
    assert text_mistake(text) == wrong


@given(NAMES)
def test_a_name_is_a_valid_domain(name: str) -> None:
    assert rules.domain_error(name) is None


@pytest.mark.parametrize("name", ["", "*", "a b", "a\n", "é", "d" * 65, "\ud800"])
def test_any_other_string_is_not_a_valid_domain(name: str) -> None:
    assert rules.domain_error(name) == (
        "is not a valid domain name: use at most 64 characters from A-Z a-z 0-9 . _ -"
    )


def test_a_domain_is_a_string() -> None:
    assert rules.domain_error(1) == "must be a string"


@pytest.mark.parametrize(
    ("pair", "wrong"),
    [
        ("p" * 64, None),
        ("7", None),
        ("p" * 65, "is longer than 64 characters"),
        ("", "is empty or contains only white space"),
        (7, "must be a string"),
        (None, "must be a string"),
    ],
)
def test_pairs_are_short_texts(pair: Any, wrong: str | None) -> None:
    assert pair_mistake(pair) == wrong


@pytest.mark.parametrize("text", ["a" * 101, "é" * 51, "\U0001f300" * 26])
def test_texts_are_limited_in_bytes(text: str) -> None:
    settings = Settings(text_limit_bytes=100)
    with pytest.raises(LimitExceeded) as exceeded:
        rules.check_text_size(text, settings, "texts", 3)
    assert exceeded.value.detail == (
        "The text at /texts/3 exceeds the limit of 100 bytes of UTF-8 (setting LAYERSCOPE_TEXT_LIMIT_BYTES)."
    )
    assert [error.pointer for error in exceeded.value.errors] == ["/texts/3"]
    rules.check_text_size(text[:-1], settings, "texts", 3)


def test_the_numbers_of_texts_and_domains_are_limited() -> None:
    settings = Settings(texts_per_job_limit=5, domains_per_job_limit=2)
    rules.check_counts(5, 2, settings)
    with pytest.raises(LimitExceeded, match=r"limit of 5 \(setting LAYERSCOPE_TEXTS_PER_JOB_LIMIT\)"):
        rules.check_counts(6, 2, settings)
    with pytest.raises(LimitExceeded, match=r"limit of 2 \(setting LAYERSCOPE_DOMAINS_PER_JOB_LIMIT\)"):
        rules.check_counts(5, 3, settings)


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        ({}, None),
        ({"a": 3}, "requires at least two domains"),
        ({"a": 3, "b": 3, "c": 3}, None),
        (
            {"a": 1, "b": 1, "c": 2, "d": 3},
            "requires the same number of texts in every domain: a has 1, c has 2",
        ),
    ],
)
def test_paired_domains_have_equally_many_texts(texts: dict[str, int], wrong: str | None) -> None:
    assert rules.paired_error(texts) == wrong


def test_unknown_fields_are_named_with_the_known_ones() -> None:
    errors = InputErrors()
    request = request_of(errors, texto=1, options={"maxtokens": 5})
    assert request == JobRequest(texts=[])
    of_job, of_options = "model, name, texts, options", ", ".join(Options.model_fields)
    assert found(errors) == [
        ("/texto", f"is not a known field; did you mean texts? The fields are {of_job}"),
        ("/options/maxtokens", f"is not a known field; did you mean max_tokens? The fields are {of_options}"),
    ]


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({"model": 1}, ("/model", "Input should be a valid string")),
        ({"name": "  "}, ("/name", "must not be blank")),
        ({"name": "a\r\nb"}, ("/name", "must not contain control or format characters")),
        ({"options": []}, ("/options", "must be an object")),
        ({"options": {"max_tokens": True}}, ("/options/max_tokens", "Input should be a valid integer")),
        ({"options": {"overflow": "split"}}, ("/options/overflow", "Input should be 'truncate' or 'fail'")),
        (
            {"options": {"components": ["mlp", "head"]}},
            ("/options/components/1", "Input should be 'block', 'attention' or 'mlp'"),
        ),
        ({"options": {"components": ["mlp", "mlp"]}}, ("/options/components", "must not repeat a component")),
        (
            {"options": {"analyses": ["patching"]}},
            ("/options/analyses/0", "Input should be 'ablation', 'logit_lens', 'activations' or 'tokens'"),
        ),
        (
            {"options": {"analyses": ["ablation", "ablation"]}},
            ("/options/analyses", "must not repeat an analysis"),
        ),
    ],
)
def test_an_invalid_member_is_told_what_is_valid(members: dict[str, Any], wrong: tuple[str, str]) -> None:
    errors = InputErrors()
    assert request_of(errors, **members) is None
    assert found(errors) == [wrong]


@given(JSON)
def test_any_json_for_the_options_is_read_or_refused(value: Any) -> None:
    errors = InputErrors()
    request = request_of(errors, options=value)
    assert (request is None) <= (errors.count > 0)


@pytest.mark.parametrize("names", [COMPONENTS, ANALYSES], ids=["components", "analyses"])
def test_components_and_analyses_are_stored_in_one_order(names: tuple[str, ...]) -> None:
    field = "components" if names == COMPONENTS else "analyses"

    @given(st.lists(st.sampled_from(names), min_size=1, unique=True))
    def check(given_names: list[str]) -> None:
        stored = Options.model_validate({field: given_names}).model_dump(mode="json")[field]
        assert stored == [name for name in names if name in given_names]
        assert {type(name) for name in stored} == {str}

    check()


@pytest.mark.parametrize(
    ("model", "models", "chosen", "wrong"),
    [
        ("demo", MODELS, "demo", []),
        (None, {"demo": KnownModel()}, "demo", []),
        (None, MODELS, None, ["is required because several models are configured: demo, other"]),
        ("gpt", MODELS, "gpt", ["is not a configured model; the configured models are demo, other"]),
    ],
)
def test_the_model_is_one_of_those_configured(
    model: str | None, models: KnownModels, chosen: str | None, wrong: list[str]
) -> None:
    errors = InputErrors()
    assert rules.choose_model(JobRequest(model=model, texts=[]), models, errors) == chosen
    assert found(errors) == [("/model", detail) for detail in wrong]


@pytest.mark.parametrize(
    ("model", "options", "wrong"),
    [
        ("demo", {"max_tokens": 2048, "window": 2048}, []),
        ("demo", {"max_tokens": 2049}, ["/options/max_tokens"]),
        ("demo", {"window": 2049}, ["/options/window"]),
        ("demo", {"max_tokens": 5, "window": 6}, ["/options/window"]),
        ("other", {"max_tokens": 2**31 - 1, "window": 2**31 - 1}, []),
    ],
)
def test_tokens_are_limited_by_what_the_model_can_read(
    model: str, options: dict[str, int], wrong: list[str]
) -> None:
    errors = InputErrors()
    rules.choose_model(
        JobRequest(model=model, texts=[], options=Options.model_validate(options)), MODELS, errors
    )
    assert [pointer for pointer, _ in found(errors)] == wrong


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"analyses": ["ablation"], "components": ["block", "mlp"]}, []),
        ({"components": ["mlp"]}, []),
        (
            {"analyses": ["ablation"], "components": ["mlp"]},
            [("/options/analyses", "requires the component `block`")],
        ),
    ],
)
def test_analyses_need_the_component_block(options: dict[str, Any], wrong: list[tuple[str, str]]) -> None:
    errors = InputErrors()
    rules.check_analyses(Options.model_validate(options), errors)
    assert found(errors) == wrong
