"""The JSON schemas of texts, for the description of the HTTP interface."""

from typing import Any

from layerscope.names import DEFAULT_DOMAIN, NAME_PATTERN
from layerscope.text_forms import LARGEST_ID, LONGEST_PAIR

NOT_NUL = r"[^\x00]*"
BLANK = r"\s\x1c-\x1f\x85"  # the white space of Python, which has more than that of other languages
TEXT_PATTERN = rf"^{NOT_NUL}[^\x00{BLANK}]{NOT_NUL}$"  # not blank, without NUL characters
STRING_SCHEMA = {"type": "string", "pattern": TEXT_PATTERN}
MESSAGE_SCHEMA = {
    "type": "object",
    "properties": {"role": STRING_SCHEMA, "content": {"type": "string", "pattern": f"^{NOT_NUL}$"}},
    "required": ["role", "content"],
    "additionalProperties": False,
}
FORM_SCHEMAS = {
    "text": STRING_SCHEMA,
    "token_ids": {
        "type": "array",
        "minItems": 1,
        "items": {"type": "integer", "minimum": 0, "maximum": LARGEST_ID},
        "description": "measured as they are given: no token is added",
    },
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": MESSAGE_SCHEMA,
        "contains": {"properties": {"content": {"pattern": TEXT_PATTERN}}},
        "description": "encoded by the chat template of the model",
    },
}
PAIR_SCHEMA = {"type": "string", "pattern": TEXT_PATTERN, "maxLength": LONGEST_PAIR}
DOMAIN_SCHEMA = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}


def _object_with(form: str, **others: Any) -> dict[str, Any]:
    """A text that is an object, or a line of a stream."""
    return {
        "type": "object",
        "properties": {form: FORM_SCHEMAS[form], "pair": PAIR_SCHEMA, **others},
        "required": [form],
        "additionalProperties": False,
    }


TEXT_SCHEMA = {"anyOf": [STRING_SCHEMA, *map(_object_with, FORM_SCHEMAS)]}
LINES_SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [_object_with(form, domain=DOMAIN_SCHEMA) for form in FORM_SCHEMAS]},
    "description": "one JSON object in each line",
}
LIST_SCHEMA = {"type": "array", "minItems": 1, "items": TEXT_SCHEMA}
TEXTS_SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": DOMAIN_SCHEMA,
            "additionalProperties": LIST_SCHEMA,
        },
        LIST_SCHEMA,
    ],
    "description": f"The texts of each domain. A list without domains is the domain `{DEFAULT_DOMAIN}`.",
    "examples": [{"cpp": ["int main() {}"], "python": ["print(1)"]}],
}
