"""How texts are encoded as the body of a submission."""

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from layerscope.client.bodies import LARGEST_EXPANSION, SMALL, SubmissionBody, body_of

REQUEST = {
    "model": "demo",
    "options": {"window": 5, "paired": True, "max_tokens": None, "analyses": ["a", "b"]},
}


def lines_of(body: SubmissionBody) -> list[Any]:
    assert not isinstance(body.content, bytes)
    content = body.content.read()
    assert len(content) == int(body.headers["Content-Length"])
    if "Content-Encoding" in body.headers:
        content = gzip.decompress(content)
    return [json.loads(line) for line in content.splitlines()]


def test_a_small_request_is_a_document() -> None:
    texts = {"cpp": ["a", {"text": "b", "pair": "1"}], "python": ["c"]}
    with body_of(texts, REQUEST, "refuse") as body:
        assert isinstance(body.content, bytes)
        assert json.loads(body.content) == {**REQUEST, "texts": texts}
        assert (body.headers, body.params) == ({"Content-Type": "application/json"}, {})


def test_generators_are_a_stream() -> None:
    texts = {"cpp": (text for text in ("a", "b")), "python": iter([{"token_ids": [1]}])}
    with body_of(texts, REQUEST, "refuse") as body:
        assert lines_of(body) == [
            {"text": "a", "domain": "cpp"},
            {"text": "b", "domain": "cpp"},
            {"token_ids": [1], "domain": "python"},
        ]
        assert body.params == {
            "model": "demo",
            "window": "5",
            "paired": "true",
            "max_tokens": "null",
            "analyses": "a,b",
        }


def test_large_lists_are_a_stream() -> None:
    with body_of(["x" * 1000] * (SMALL // 1000 + 1), {}, "refuse") as body:
        assert len(lines_of(body)) == SMALL // 1000 + 1


def test_records_with_domains_are_a_stream() -> None:
    records = [{"domain": "cpp", "text": "a"}, {"text": "b"}]
    with body_of(records, {}, "refuse") as body:
        assert lines_of(body) == records


def test_invalid_texts_can_only_fail_in_a_stream() -> None:
    with body_of(["a"], {}, "fail") as body:
        assert (lines_of(body), body.params) == ([{"text": "a"}], {"on_invalid": "fail"})


def test_a_stream_that_the_service_would_refuse_for_its_expansion_is_not_compressed() -> None:
    with body_of(iter(["x" * 1000] * 10_000), {}, "refuse") as body:
        assert "Content-Encoding" not in body.headers
        assert len(lines_of(body)) == 10_000
    assert LARGEST_EXPANSION < 100


@pytest.mark.slow
def test_a_generator_is_never_held_in_memory() -> None:
    def texts() -> Iterator[str]:
        for i in range(40_000):
            yield "".join(chr(97 + (i * j * j) % 26) for j in range(1, 40)) * 25  # 39 MB in all

    tracemalloc.start()
    try:
        with body_of(texts(), {}, "refuse") as body:
            size = int(body.headers["Content-Length"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 0
    assert peak < 12 * 2**20


@pytest.mark.parametrize(
    "texts", ["one text", {"cpp": "one text"}, 3, {"cpp": 3}, b"bytes", {"cpp": {"text": "a"}}]
)
def test_one_text_is_not_a_list_of_texts(texts: Any) -> None:
    with (
        pytest.raises(TypeError, match="must be a list or another iterable of texts"),
        body_of(texts, {}, "refuse"),
    ):
        pass


def test_an_empty_domain_is_an_error_also_in_a_stream() -> None:
    texts: dict[str, Any] = {"cpp": iter(["a"]), "python": iter([])}
    with (
        pytest.raises(ValueError, match="The domain 'python' contains no text"),
        body_of(texts, {}, "refuse"),
    ):
        pass


def test_two_domains_of_one_text_are_an_error() -> None:
    texts = {"cpp": [{"domain": "python", "text": "a"}]}
    with (
        pytest.raises(ValueError, match="of the domain 'cpp' names the domain 'python'"),
        body_of(texts, {}, "refuse"),
    ):
        pass
