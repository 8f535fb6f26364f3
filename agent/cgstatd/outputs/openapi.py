"""OpenAPI 3.1 of every route, its schemas generated from the very types that encode the answers."""

from __future__ import annotations

from typing import Any

import msgspec

from .. import __version__
from .answers import Failure
from .api_routes import ERRORS, JSON, PARAMETERS, ROUTES, Answer, Route


def _content(answer: Answer, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": schemas[answer.type] if answer.type else {"type": "string"}}
    if answer.example is not None:
        body["example"] = answer.example
    if answer.events:
        body["x-events"] = {name: schemas[kind] for name, kind in answer.events.items()}
    return {answer.media: body}


def _operation(route: Route, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    content = _content(route.answer, schemas)
    for other in route.also:
        content |= _content(other, schemas)
    failure = {JSON: {"schema": schemas[Failure], "example": {"error": "Container not found"}}}
    responses: dict[str, Any] = {"200": {"description": route.answer.description, "content": content}}
    for status in route.errors:
        responses[str(status)] = {"description": ERRORS[status], "content": failure}
    operation: dict[str, Any] = {"summary": route.summary, "responses": responses}
    if route.parameters:
        operation["parameters"] = [PARAMETERS[name] for name in route.parameters]
    if route.permission:
        operation["description"] = f"Needs the permission {route.permission}, where tokens are in use."
    return operation


def document() -> dict[str, Any]:
    """The whole document."""
    answers = [answer for route in ROUTES for answer in (route.answer, *route.also)]
    types = [Failure, *(a.type for a in answers if a.type), *(t for a in answers for t in a.events.values())]
    unique = list({repr(each): each for each in types}.values())
    found, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(unique, found, strict=True))
    components["Value"]["oneOf"] = [{"required": ["value"]}, {"required": ["absent"]}]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cgstatd",
            "version": __version__,
            "description": "What docker stats shows, read from the kernel itself.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"token": []}],
        "paths": {route.path: {"get": _operation(route, schemas)} for route in ROUTES},
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
