"""The response to a submission names texts that are only an address."""

import httpx
import pytest

from layerscope.names import TextForm

MEASURED = "These characters are measured, not what is at the address."


def warnings(api: httpx.Client, texts: list[object]) -> list[str]:
    answer = api.post("/v1/jobs", json={"model": "demo", "texts": {"cpp": texts}})
    assert answer.status_code == 202, answer.text
    return [warning for warning in answer.json()["warnings"] if "address" in warning]


@pytest.mark.parametrize(
    "address", ["file:///data/texts/a.txt", "https://example.org/a?b=c\n", "s3://bucket/key", " hf://x/y "]
)
def test_a_text_that_is_only_an_address_has_a_warning(api: httpx.Client, address: str) -> None:
    assert warnings(api, ["int i;", address]) == [
        f"Text 1 (domain cpp) is only an address: {address.strip()}. {MEASURED}"
    ]


def test_the_others_are_counted_and_a_long_one_is_cut(api: httpx.Client) -> None:
    (warning,) = warnings(api, ["file:///" + "a" * 100, "file:///b", {"text": "file:///c"}])
    assert warning == (
        f"Text 0 (domain cpp) is only an address: file:///{'a' * 51}…. So are 2 others. {MEASURED}"
    )


@pytest.mark.parametrize(
    "text",
    ["// see http://example.org", "http://a.b is a page", "a://", "std::cout", "int a; // x://y z"],
)
def test_other_texts_have_none(api: httpx.Client, text: str) -> None:
    assert warnings(api, [text, {TextForm.TOKEN_IDS: [5, 6]}]) == []


def test_a_stream_is_answered_in_the_same_way(api: httpx.Client) -> None:
    lines = '{"domain": "cpp", "text": "file:///a"}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    answer = api.post("/v1/jobs?model=demo", content=lines, headers=headers)
    assert f"Text 0 (domain cpp) is only an address: file:///a. {MEASURED}" in answer.json()["warnings"]
