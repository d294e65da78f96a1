"""The OpenAPI description, and the page that shows it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from markupsafe import escape

from app.api.openapi import describe
from app.main import create_app
from app.settings import Settings
from app.submission.stream_parameters import PARAMETERS


def test_the_description_contains_every_response(api: httpx.Client) -> None:
    spec = api.get("/openapi.json").json()
    assert {"JobRequest", "JobOut", "Problem"} <= spec["components"]["schemas"].keys()
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/v1/"):
                assert {"421", "422", "500", "503"} <= operation["responses"].keys(), (method, path)
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
    create = spec["paths"]["/v1/jobs"]["post"]
    refusals = {"400", "401", "403", "408", "409", "413", "415", "421", "422", "429", "500", "503", "507"}
    assert create["responses"].keys() == {"200", "202"} | refusals
    assert list(create["requestBody"]["content"]) == ["application/json"]
    assert names_of(create) == {"Idempotency-Key"}
    stream = spec["paths"]["/v1/jobs#stream"]["post"]
    assert stream["responses"] == create["responses"]
    accepted = ["application/x-ndjson", "application/jsonl", "application/jsonlines"]
    assert list(stream["requestBody"]["content"]) == accepted
    assert names_of(stream) == {"Idempotency-Key", *PARAMETERS}
    for reference in _references(spec):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in spec["components"][kind]


def names_of(operation: dict[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation["parameters"]}


@pytest.mark.parametrize("models", [1, 2])
def test_the_description_contains_the_models(settings: Settings, tmp_path: Path, models: int) -> None:
    tables = "".join(f'[model-{i}]\nsource = "somewhere"\n' for i in range(models))
    (tmp_path / "models.toml").write_text(tables)
    app = create_app(settings.model_copy(update={"models": tmp_path / "models.toml"}))
    spec = describe(app)
    app.state.service.engine.dispose()
    request = spec["components"]["schemas"]["JobRequest"]
    assert request["required"] == (["texts"] if models == 1 else ["model", "texts"])
    (model,) = [kind for kind in _members(request["properties"]["model"]) if "enum" in kind]
    assert model["enum"] == [f"model-{i}" for i in range(models)]
    (parameter,) = [
        parameter
        for parameter in spec["paths"]["/v1/jobs#stream"]["post"]["parameters"]
        if parameter["name"] == "model"
    ]
    assert parameter["required"] is (models > 1)
    assert parameter["schema"] == model


def _members(schema: dict[str, Any]) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return [{name: kind[name] for name in ("type", "enum") if name in kind} for kind in members]


def test_links_lead_from_a_job_to_all_calls_for_it(api: httpx.Client) -> None:
    spec = api.get("/openapi.json").json()
    calls = {
        operation["operationId"]
        for path, operations in spec["paths"].items()
        if "{job_id}" in path
        for operation in operations.values()
    }
    assert {"read_job", "follow_job", "cancel_job", "delete_job", "results.csv", "plot.svg"} <= calls
    paths, read = spec["paths"], "/v1/jobs/{job_id}"
    for answer in (
        paths["/v1/jobs"]["post"]["responses"]["202"],
        paths["/v1/jobs"]["post"]["responses"]["200"],
        paths["/v1/jobs#stream"]["post"]["responses"]["202"],
        paths[read]["get"]["responses"]["200"],
        paths[f"{read}/cancel"]["post"]["responses"]["202"],
    ):
        targets = [spec["components"]["links"][name] for name in answer["links"]]
        assert {target["operationId"] for target in targets} == calls
    assert paths["/v1/jobs"]["get"]["responses"]["200"]["links"]["newest"]["operationId"] == "read_job"


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for member in node:
            yield from _references(member)


def test_the_docs_show_every_operation_also_without_scripts(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        assert path in page.text
        for operation in operations.values():
            assert [sample["lang"] for sample in operation["x-codeSamples"]] == ["Shell", "Python"]
            assert all(escape(sample["source"]) in page.text for sample in operation["x-codeSamples"])


def test_the_docs_load_only_our_own_files_and_run_nothing_inline(api: httpx.Client) -> None:
    page = api.get("/docs")
    sources = re.findall(r'(?:src|href)="([^"#]*)"', page.text)
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    assert not re.findall(r"<script(?![^>]* src=)|<style| on[a-z]+=| style=", page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-" in policy
    assert set(re.findall(r"[\w-]+:(?!//)", policy)) == {"blob:", "data:"}
