"""The parts of the OpenAPI description that the signatures of the endpoints do not contain."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.reference.code_samples import add_code_samples
from app.api.request_body import JSON, STREAMS
from app.errors import Problem
from app.schemas import JobOut, JobPage, JobRequest, Options
from app.submission.stream_parameters import LISTS, LineParameters
from app.text_schemas import LINES_SCHEMA

INTRODUCTION = """Submit texts, wait for the job, and download its files.

In the examples, `JOB_ID` is the id of a job: the member `id` of the response to a submission. If the service
requires keys, add `-H "Authorization: Bearer $LAYERSCOPE_API_KEY"` to curl; the Python client reads this
variable itself. Every error is a problem object (RFC 9457) that names the invalid place and the remedy."""

REFERENCE = "#/components/schemas/{model}"

JOBS = "/v1/jobs"
# The same call with another body and with parameters. OpenAPI has one set of parameters for each path and
# method, so this path has a fragment, which clients do not send.
STREAM = f"{JOBS}#stream"

LINES = {
    "schema": LINES_SCHEMA,
    "example": '{"domain": "cpp", "text": "int i;"}\n{"domain": "python", "text": "i = 1"}\n',
}
JOB_REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"$ref": REFERENCE.format(model=JobRequest.__name__)}}},
    },
}

RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}
LOCATION = {"Location": {"description": "of the job", "schema": {"type": "string"}}}
HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    408: RETRY_AFTER,
    416: {"Content-Range": {"description": "the size of the file", "schema": {"type": "string"}}},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint for these statuses, and for those that every endpoint can have."""
    content = {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model=Problem.__name__)}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        | ({"headers": HEADERS[status]} if status in HEADERS else {})
        for status in sorted({*statuses, 421, 422, 500, 503})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        spec = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        request = JobRequest.model_json_schema(ref_template=REFERENCE)
        lines = LineParameters.model_json_schema(ref_template=REFERENCE)
        _name_models(request, list(app.state.service.models))
        schemas = request.pop("$defs") | lines.pop("$defs") | {JobRequest.__name__: request}
        spec["components"]["schemas"] |= schemas
        parameters = _parameters_of_stream(request, lines)
        spec["paths"][STREAM] = {"post": _stream(spec["paths"][JOBS]["post"], parameters)}
        spec["info"]["description"] = INTRODUCTION
        _add_links(spec)
        add_code_samples(spec["paths"])
        app.openapi_schema = spec
    return app.openapi_schema


def _name_models(request: dict[str, Any], models: Sequence[str]) -> None:
    """`model` is one of the configured models, and required if there are several."""
    of_model = request["properties"]["model"]
    if len(models) > 1:
        request["required"] = ["model", *request["required"]]
        del of_model["anyOf"], of_model["default"]
        of_model |= {"type": "string", "enum": models}
    else:
        of_model["anyOf"] = [{"type": "string", "enum": models}, {"type": "null"}]


def _stream(document: Mapping[str, Any], parameters: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The operation that submits a stream, which differs from that for a document in what it receives."""
    return deepcopy(dict(document)) | {
        "operationId": "create_job_from_stream",
        "summary": "Create Job From Stream",
        "description": "Submit texts as lines of JSON. The body may be compressed with gzip.",
        "parameters": [*document["parameters"], *parameters],
        "requestBody": {"required": True, "content": dict.fromkeys(STREAMS, LINES)},
    }


def _parameters_of_stream(request: Mapping[str, Any], lines: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The members and options of a JSON document, except for its texts, and how lines are read."""
    options = Options.model_json_schema(ref_template=REFERENCE)["properties"]
    members = {name: request["properties"][name] for name in ("model", "name")}
    schemas = {**members, **options, **lines["properties"]}
    return [_parameter(name, schema, name in request["required"]) for name, schema in schemas.items()]


def _parameter(name: str, schema: Mapping[str, Any], required: bool) -> dict[str, Any]:
    """A query parameter for a member of a JSON object. What can be null there can be left out here."""
    values = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    left_out = ("anyOf", "default", "description", "title")
    described = {key: value for key, value in schema.items() if key not in left_out}
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": described | (values[0] if values else {}),
        "description": schema["description"] + (" (separated by commas)" if name in LISTS else ""),
        **({"explode": False} if name in LISTS else {}),
    }


def _add_links(spec: dict[str, Any]) -> None:
    """From each response with a Job to the calls for this job, and from the list to its newest job."""
    calls = [
        operation["operationId"]
        for path, operations in spec["paths"].items()
        if path.startswith(f"{JOBS}/{{job_id}}")
        for operation in operations.values()
    ]
    links = spec["components"]["links"] = {call: _link(call, "$response.body#/id") for call in calls}
    from_page = {"newest": _link("read_job", "$response.body#/data/0/id")}
    for answer, schema in _json_answers(spec):
        if schema == REFERENCE.format(model=JobOut.__name__):
            answer["links"] = {call: {"$ref": f"#/components/links/{call}"} for call in links}
        elif schema == REFERENCE.format(model=JobPage.__name__):
            answer["links"] = from_page


def _link(operation: str, job_id: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": {"job_id": job_id}}


def _json_answers(spec: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The responses with a JSON body, and the reference to its schema."""
    answers = [
        answer
        for operations in spec["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
    ]
    schemas = [
        answer.get("content", {}).get(JSON, {}).get("schema", {}).get("$ref", "") for answer in answers
    ]
    return list(zip(answers, schemas, strict=True))
