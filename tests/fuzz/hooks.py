"""What schemathesis must know of this service: the format of streams, and rules outside JSON Schema."""

import json
import re
from typing import Any

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.checks import positive_data_acceptance

# What makes a request invalid although each of its values is valid. JSON Schema has no words for these rules.
RULES = (
    r"requires the component `block`",  # analyses and components
    r"requires at least two domains",  # paired and texts
    r"requires the same number of texts in every domain",
    r"Two texts of the domain .* have the pair ",
    r"No pair spans two domains",
    r"must be at most \d+, the (largest )?number of tokens",  # max_tokens, window and the model
    r"requires a chat template, which the model",
    r"must not contain control or format characters",  # patterns need not support classes of Unicode
    r"is not a token id: use a whole number",  # 1.0 is an integer for JSON Schema, and 1e400 is one, too
    r"Input should be a valid integer",
)
NAMED_FIELDS = ("text", "domain", "pair")  # parameters of a stream that say which fields its lines must have


@schemathesis.serializer("application/x-ndjson", "application/jsonl", "application/jsonlines")
def lines_of_json(_: schemathesis.SerializationContext, value: Any) -> bytes:
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@schemathesis.check
def valid_requests_are_accepted(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """The check `positive_data_acceptance` of schemathesis, except for rules outside JSON Schema."""
    try:
        positive_data_acceptance(ctx, response, case)
    except RejectedPositiveData:
        if not _is_refused_by_a_rule(response, case):
            raise


def _is_refused_by_a_rule(response: schemathesis.Response, case: schemathesis.Case[Any]) -> bool:
    if response.status_code == 416:  # a range may be after the end of a file
        return True
    problem = response.json()
    if problem["type"].endswith(":idempotency-key-reused"):
        return True
    return response.status_code == 422 and all(
        any(re.match(rule, _without_line(error["detail"])) for rule in RULES)
        or (_is_in_a_line(error["pointer"]) and not set(NAMED_FIELDS).isdisjoint(case.query or {}))
        for error in problem["errors"]
    )


def _without_line(detail: str) -> str:
    return re.sub(r"^line \d+: ", "", detail)


def _is_in_a_line(pointer: str) -> bool:
    return re.match(r"/\d", pointer) is not None
