"""Whether an answer is one that the OpenAPI document has: its status, type, headers and body."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import jsonschema

from cgstatd.outputs.openapi import document
from cgstatd.web.routes.table import ROUTES
from wire import Answer

DOCUMENT = document(ROUTES)
R = TypeVar("R")


async def of_each(check: Callable[[R], Awaitable[None]], rows: Iterable[R], name: Callable[[R], str]) -> None:
    """A check of every row of a table; those that fail, together and with their names."""
    failed = []
    for row in rows:
        try:
            await check(row)
        except Exception as error:
            error.add_note(name(row))
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} rows", failed)


def filled(path: str, version: str = "v1.45") -> str:
    """A route's path with a container, a name, an environment and a version in the place of its parts."""
    parts = {"{version}": version, "{container}": "a", "{name}": "a", "{id}": "a", "{env}": "1", "{rest}": "x"}
    return re.sub(r"{\w+}", lambda part: parts[part[0]], path)


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


@functools.cache
def _validator(path: str, status: int, media: str, method: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(path, status, media, method))


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
    _validator(path, answer.status, media, method).validate(body)
