"""OpenAPI 3.1 of every route, its schemas generated from the very types that encode the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from .. import __version__
from . import examples
from .answers import Failure, Health, OneContainer, StreamedContainer
from .detail import ContainerDetail
from .follow import FollowExit, FollowFailed, FollowHello, FollowOom, FollowRound, FollowStat
from .host import HostAnswer
from .identity import ContainerIdentity

_JSON = "application/json"
_SSE = "text/event-stream"


class Nothing(msgspec.Struct, frozen=True):
    """An empty object."""


class Answer(NamedTuple):
    """A 200: its type (None: text), an example of it, and for streams the type of each event."""

    description: str
    media: str = _JSON
    type: Any = None
    example: Any = None
    events: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Route(NamedTuple):
    """One path."""

    path: str
    summary: str
    answer: Answer
    errors: Sequence[int]
    parameters: Sequence[str] = ("env",)
    permission: str = "containers:view"
    also: tuple[Answer, ...] = ()
    """The same in other media types."""


_ID_ERRORS = (400, 401, 403, 404, 429, 500)
_ERRORS = (401, 403, 404, 429, 500)
STREAM_EVENTS = {"stat": StreamedContainer, "error": Failure, "done": Nothing}
FOLLOW_EVENTS = {
    "hello": FollowHello,
    "stat": FollowStat,
    "round": FollowRound,
    "failed": FollowFailed,
    "start": ContainerIdentity,
    "exit": FollowExit,
    "oom": FollowOom,
}
ROUTES = (
    Route(
        "/api/containers/{id}/stats",
        "One container's figures",
        Answer("The eleven figures.", type=OneContainer, example=examples.ONE),
        _ID_ERRORS,
        ("id", "env"),
    ),
    Route(
        "/api/containers/stats",
        "Figures of all running containers",
        Answer("One object each.", type=list[StreamedContainer], example=[examples.STREAMED]),
        _ERRORS,
    ),
    Route(
        "/api/containers/stats/stream",
        "The same once, as Server-Sent Events",
        Answer("stat events, error if the round as a whole fails, done, the close.", _SSE, events=STREAM_EVENTS),
        (401, 403, 429, 503),
    ),
    Route(
        "/api/containers/stats/follow",
        "Rounds at an interval, starts, ends and OOM kills, as Server-Sent Events",
        Answer("Stays open. Every event but hello has an id to resume from.", _SSE, events=FOLLOW_EVENTS),
        (400, 401, 403, 404, 429, 503),
        ("env", "interval", "Last-Event-ID"),
    ),
    Route(
        "/api/containers",
        "Who is there, stopped containers included",
        Answer("One object each.", type=list[ContainerIdentity], example=[examples.IDENTITY]),
        _ERRORS,
    ),
    Route(
        "/api/containers/{id}/detail",
        "Everything that is known of one container",
        Answer("Each value with its source or the reason why there is none.", type=ContainerDetail),
        _ID_ERRORS,
        ("id", "env"),
    ),
    Route(
        "/api/host",
        "The host, the sums over its containers, and the agent's own cost",
        Answer("The host.", type=HostAnswer),
        _ERRORS,
    ),
    Route(
        "/metrics",
        "Prometheus metrics with cAdvisor's names and labels",
        Answer("The text format.", "text/plain"),
        (401, 403, 429, 500),
        (),
        "metrics:view",
        (Answer("OpenMetrics, where Accept asks for it.", "application/openmetrics-text"),),
    ),
    Route(
        "/healthz",
        "Whether the containers can be listed",
        Answer("They can.", type=Health, example={"status": "ok"}),
        (503,),
        (),
        "",
    ),
    Route("/api/openapi.json", "This document", Answer("OpenAPI 3.1.", type=dict[str, Any]), (401, 429), (), ""),
)
_PARAMETERS: dict[str, dict[str, Any]] = {
    "id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "A full id, an exact name, a unique prefix of an id, or runtime:name.",
        "schema": {"type": "string"},
        "example": "web",
    },
    "env": {
        "name": "env",
        "in": "query",
        "description": "The environment that the agent is; may be left out.",
        "schema": {"type": "integer"},
        "example": 1,
    },
    "interval": {
        "name": "interval",
        "in": "query",
        "description": "Seconds between rounds; rounded up to a quarter of a second.",
        "schema": {"type": "number", "minimum": 0.25, "maximum": 60, "default": 1},
    },
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that was received: go on from there.",
        "schema": {"type": "string"},
    },
}
ERRORS = {
    400: "The id or the interval is invalid, or the id is ambiguous.",
    401: "Credentials are missing or wrong.",
    403: "The credentials do not allow this.",
    404: "There is no such container or environment.",
    429: "Too many failed attempts from this address.",
    500: "The kernel's files could not be read; the error says which.",
    503: "Not available now; the error says why.",
}


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
    failure = {_JSON: {"schema": schemas[Failure], "example": {"error": "Container not found"}}}
    responses: dict[str, Any] = {"200": {"description": route.answer.description, "content": content}}
    for status in route.errors:
        responses[str(status)] = {"description": ERRORS[status], "content": failure}
    operation: dict[str, Any] = {"summary": route.summary, "responses": responses}
    if route.parameters:
        operation["parameters"] = [_PARAMETERS[name] for name in route.parameters]
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
