"""Whether an answer is one that the OpenAPI document has: its status, type, headers and body."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from cgstatd.outputs.openapi import document
from cgstatd.web.routes.table import ROUTES
from wire import Answer

DOCUMENT = document(ROUTES)


def resolved(what: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to; anything else is itself."""
    if "$ref" not in what:
        return what
    found = DOCUMENT
    for part in what["$ref"].removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/")]
    return found


def response(path: str, status: int, method: str = "get") -> dict[str, Any]:
    """The documented answer of a path."""
    responses = DOCUMENT["paths"][path][method]["responses"]
    assert str(status) in responses, f"{method} {path}: {status} is not documented"
    return resolved(responses[str(status)])


def schema(path: str, status: int = 200, media: str = "application/json", method: str = "get") -> dict[str, Any]:
    """The schema of an answer's body."""
    found: dict[str, Any] = response(path, status, method)["content"][media]["schema"]
    return found | {"components": DOCUMENT["components"]}


def validate(what: Any, against: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError."""
    jsonschema.Draft202012Validator(against).validate(what)


def first_method(path: str) -> str:
    """What the path is there for."""
    return str(next(iter(DOCUMENT["paths"][path])))


def conforms(answer: Answer, path: str, method: str = "") -> None:
    """The answer is as documented."""
    method = method or first_method(path)
    said = response(path, answer.status, method)
    for name, reference in said["headers"].items():
        header = resolved(reference)
        value = answer.headers.get(name.lower())
        assert value is not None or not header["required"], f"{answer.status} of {path} without {name}"
        if value is not None:
            validate(int(value) if header["schema"]["type"] == "integer" else value, header["schema"])
    if method == "head" or "content" not in said:
        assert answer.body == b""
        return
    media = answer.headers["content-type"].partition(";")[0]
    body = json.loads(answer.body) if media == "application/json" else answer.body.decode()
    validate(body, schema(path, answer.status, media, method))
