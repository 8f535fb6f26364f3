"""OpenAPI 3.1 of every route, its schemas generated from the very types that encode the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from .. import __version__
from ..auth.rules import Rule
from . import api_responses as responses
from .api_parameters import PARAMETERS
from .api_routes import WORDS, Answer, Words
from .stats_json import Failure

Schemas = dict[str, dict[str, Any]]
"""By the type's repr(): types themselves need not be hashable."""
DESCRIPTION = """\
What docker stats shows, read from the kernel itself.

Every path may be asked with HTTP/1.1 or 1.0. Names of query parameters that are not listed are ignored. A request that
is no HTTP is answered 400 (its head too large: 431) and the connection closed; one that takes too long to arrive, and a
client that does not read, are cut without an answer. Paths that are not listed are not found (404), methods that are
not listed not allowed (405); where tokens are in use both are told only to those who show one (401).
"""


def _content(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": schemas[repr(answer.type)] if answer.type else {"type": "string"}}
    if answer.example is not None:
        body["example"] = answer.example
    if answer.events:
        body["x-events"] = {name: schemas[repr(kind)] for name, kind in answer.events.items()}
    return {answer.media: body}


def _parameters(names: Iterable[str]) -> dict[str, Any]:
    found = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    return {"parameters": found} if found else {}


def _of_rule(rule: Rule) -> Iterator[str]:
    if "{id}" in rule.path:
        yield "id"
    if "{env}" in rule.path:
        yield "env-path"
    elif rule.permission:
        yield "env"


def _statuses(rule: Rule, words: Words) -> set[int]:
    """Every status that is not the route's own."""
    missing = (404,) if rule.may_miss else ()
    return {*responses.ANY, *(() if rule.open else responses.WITH_CREDENTIALS), *missing, *words.errors}


def _operation(rule: Rule, words: Words, schemas: Schemas, *, head: bool = False) -> dict[str, Any]:
    """The operation; ``head``: of HEAD, whose answers have no body."""
    content = _content(words.answer, schemas)
    for other in words.also:
        content |= _content(other, schemas)
    compressed = not (words.plain or rule.stream)
    named = (*words.headers, "Content-Encoding") if compressed else words.headers
    own: dict[str, Any] = {"200": {"description": words.answer.description, "headers": responses.headers(named)}}
    if not head:
        own["200"]["content"] = content
    if words.cached:
        own["304"] = {"description": "The client has it.", "headers": responses.headers(words.headers)}
    operation: dict[str, Any] = {
        "summary": f"Only the headers of GET {rule.path}" if head else words.summary,
        "responses": own | responses.failures(sorted(_statuses(rule, words))),
        **_parameters((*_of_rule(rule), *words.parameters, *(("Accept-Encoding",) if compressed else ()))),
    }
    if words.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {responses.JSON: {"schema": schemas[repr(words.body)]}},
        }
    if rule.permission:
        operation["description"] = f"Needs the permission {rule.permission}, where tokens are in use."
    if rule.open:
        operation["security"] = []
    return operation


def _preflight(rule: Rule) -> dict[str, Any]:
    done = {
        "description": "A page of this origin may read the path with GET.",
        "headers": responses.headers(responses.PREFLIGHT_HEADERS),
    }
    inside = [name for name in ("id", "env") if f"{{{name}}}" in rule.path]
    refusals = set(responses.ANY) - {413}  # a body is not looked at: it is refused where it could be meant, with GET
    return {
        "summary": "A browser's preflight",
        "description": "403 where `allowed_origins` does not have the origin. Without Access-Control-Request-Method it "
        "is no preflight but a method that the path does not have: 405, where tokens are in use first of all 401.",
        "responses": {"204": done, **responses.failures((*refusals, *responses.WITH_CREDENTIALS))},
        **_parameters((*(f"preflight-{name}" for name in inside), "Origin", "Access-Control-Request-Method")),
        "security": [],
    }


def _path(rule: Rule, schemas: Schemas) -> dict[str, Any]:
    words = WORDS[f"{rule.method} {rule.path}"]
    operations = {rule.method.lower(): _operation(rule, words, schemas)}
    if rule.head:
        operations["head"] = _operation(rule, words, schemas, head=True)
    return operations | {"options": _preflight(rule)}


def document(rules: Sequence[Rule]) -> dict[str, Any]:
    """The whole document, of the table of routes."""
    every = [WORDS[f"{rule.method} {rule.path}"] for rule in rules]
    answers = [answer for words in every for answer in (words.answer, *words.also)]
    types = [Failure, *(a.type for a in answers if a.type), *(t for a in answers for t in a.events.values())]
    types += [words.body for words in every if words.body is not None]
    unique = {repr(each): each for each in types}
    found, components = msgspec.json.schema_components(unique.values(), ref_template="#/components/schemas/{name}")
    schemas = dict(zip(unique, found, strict=True))
    components["Value"]["oneOf"] = [{"required": ["value"]}, {"required": ["absent"]}]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cgstatd",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [
            {},
            *({name: []} for name in ("token", "session", "certificate")),
            *({name: [], "certificate": []} for name in ("token", "session")),
        ],
        "paths": {rule.path: _path(rule, schemas) for rule in rules},
        "components": {
            "schemas": components,
            "parameters": PARAMETERS,
            "headers": responses.HEADERS,
            "responses": responses.components(schemas[repr(Failure)]),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "As `cgstatd token new` prints it; demanded once there are tokens.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "dockhand_session",
                    "description": "As a login with a token gives it; it stands for the token.",
                },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "A client certificate; demanded where `tls_client_ca` is set.",
                },
            },
        },
    }
