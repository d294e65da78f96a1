"""The parts of the OpenAPI description that the signatures of the endpoints do not contain."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.request_body import STREAMS
from app.errors import Problem
from app.schemas import JobRequest, Options
from app.submission.stream_parameters import LISTS, LineParameters

REFERENCE = "#/components/schemas/{model}"

LINES = {
    "schema": {"type": "string"},
    "example": '{"domain": "cpp", "text": "int i;"}\n{"domain": "python", "text": "i = 1"}\n',
}
DESCRIPTIONS = {
    "model": "the model of the job",
    "name": "the name of the job",
    **{name: field.description for name, field in Options.model_fields.items()},
    **{name: field.description for name, field in LineParameters.model_fields.items()},
}
JOB_REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": REFERENCE.format(model=JobRequest.__name__)}},
            **dict.fromkeys(STREAMS, LINES),
        },
    },
    "parameters": [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": f"if the body is NDJSON: {description}"
            + (" (separated by commas)" if name in LISTS else ""),
        }
        for name, description in DESCRIPTIONS.items()
    ],
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint for these statuses, and for those that every endpoint can have."""
    content = {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model=Problem.__name__)}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*statuses, 421, 422, 500, 503})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        spec = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        request = JobRequest.model_json_schema(ref_template=REFERENCE)
        spec["components"]["schemas"] |= request.pop("$defs", {}) | {JobRequest.__name__: request}
        app.openapi_schema = spec
    return app.openapi_schema
