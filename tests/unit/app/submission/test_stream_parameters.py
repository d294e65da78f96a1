"""Query parameters are the request of a stream without its texts."""

from typing import Any

import pytest

from app.errors import InvalidRequest
from app.jobs.store import Draft
from app.schemas import Options
from app.submission.rules import KnownModel, KnownModels
from app.submission.stream_parameters import PARAMETERS, StreamRequest, read_parameters

MODELS: KnownModels = {"demo": KnownModel(2048, False), "other": KnownModel()}


def read(*query: tuple[str, str]) -> StreamRequest:
    return read_parameters([("model", "demo"), *query], "key", MODELS)


def errors(*query: tuple[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        read_parameters(query, "key", MODELS)
    return [(error.pointer, error.detail) for error in raised.value.errors]


def test_model_and_name_are_parameters() -> None:
    request = read(("name", "n"))
    assert request.draft == Draft("demo", "n", Options().model_dump(mode="json"), "key")
    assert request.model == KnownModel(2048, False)
    assert (request.paired, request.lines.names_fields) == (False, False)


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("max_tokens", "7", 7),
        ("max_tokens", "null", None),
        ("overflow", "fail", "fail"),
        ("components", "mlp,block", ["block", "mlp"]),
        ("components", "mlp, block", ["block", "mlp"]),
        ("window", "64", 64),
        ("paired", "true", True),
        ("analyses", "ablation,logit_lens", ["ablation", "logit_lens"]),
        ("analyses", "", []),
        ("analysis_texts", "8", 8),
        ("special_tokens", "parse", "parse"),
    ],
)
def test_every_option_is_a_parameter(name: str, value: str, option: Any) -> None:
    assert read((name, value)).draft.options == Options().model_dump(mode="json") | {name: option}


def test_all_options_are_tested() -> None:
    (marker,) = (mark for mark in test_every_option_is_a_parameter.pytestmark)
    assert {case[0] for case in marker.args[1]} == Options.model_fields.keys()


def test_a_list_may_be_repeated() -> None:
    assert read(("components", "mlp"), ("components", "block")).draft.options["components"] == [
        "block",
        "mlp",
    ]


def test_fields_are_named() -> None:
    lines = read(("text", "content"), ("domain", "label"), ("pair", "id")).lines
    assert (lines.text, lines.domain, lines.pair, lines.names_fields) == ("content", "label", "id", True)


def test_only_what_changes_the_job_belongs_to_the_draft() -> None:
    assert read(("on_invalid", "refuse"), ("text", "content")).draft.reading == {}
    assert read(("on_invalid", "fail")).draft.reading == {"on_invalid": "fail"}


DEMO = ("model", "demo")


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ([DEMO, ("colour", "red")], ["?colour"]),
        ([], ["?model"]),
        ([("model", "nobody")], ["?model"]),
        ([DEMO, ("name", 101 * "a")], ["?name"]),
        ([DEMO, ("texts", "[]")], ["?texts"]),
        ([DEMO, DEMO], ["?model"]),
        ([DEMO, ("window", "64"), ("window", "64")], ["?window"]),
        ([DEMO, ("window", "")], ["?window"]),
        ([DEMO, ("window", "1.5")], ["?window"]),
        ([DEMO, ("window", "0")], ["?window"]),
        ([DEMO, ("window", "4096")], ["?window"]),
        ([DEMO, ("max_tokens", "4096")], ["?max_tokens"]),
        ([DEMO, ("max_tokens", "[" * 100_000)], ["?max_tokens"]),
        ([DEMO, ("paired", "yes")], ["?paired"]),
        ([DEMO, ("paired", "1")], ["?paired"]),
        ([DEMO, ("components", "")], ["?components"]),
        ([DEMO, ("components", "mlp,head")], ["?components"]),
        ([DEMO, ("components", "mlp,mlp")], ["?components"]),
        ([DEMO, ("components", "mlp"), ("analyses", "ablation")], ["?analyses"]),
        ([DEMO, ("special_tokens", "keep")], ["?special_tokens"]),
        ([DEMO, ("on_invalid", "skip")], ["?on_invalid"]),
        ([DEMO, ("text", "")], ["?text"]),
        ([("window", "0"), ("domain", "")], ["?window", "?domain"]),
    ],
)
def test_bad_parameters_are_named(query: list[tuple[str, str]], pointers: list[str]) -> None:
    assert [pointer for pointer, _ in errors(*query)] == pointers


def test_the_error_of_an_unknown_parameter_lists_the_known_ones() -> None:
    assert errors(DEMO, ("limit", "1")) == [
        ("?limit", f"is not a known parameter; the parameters are {', '.join(PARAMETERS)}")
    ]
