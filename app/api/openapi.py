"""What the OpenAPI description says beyond the endpoints' signatures."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.schemas import JobRequest, Problem

REFERENCE = "#/components/schemas/{model}"

JOB_REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": REFERENCE.format(model="JobRequest")}},
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"domain": "cpp", "text": "int i;"}\n{"domain": "python", "text": "i = 1"}\n',
            },
        },
    },
    "parameters": [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": f"the job's {name}, where the body is NDJSON",
        }
        for name in ("model", "name")
    ],
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint that may answer so."""
    content = {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*statuses, 422, 500, 503})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        spec = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = spec["components"]["schemas"]
        for model in (JobRequest, Problem):
            schema = model.model_json_schema(ref_template=REFERENCE)
            schemas |= schema.pop("$defs", {})
            schemas[model.__name__] = schema
        app.openapi_schema = spec
    return app.openapi_schema
