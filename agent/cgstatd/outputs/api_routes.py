"""Every route: what it answers, with which statuses, and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from . import examples
from .answers import Failure, Health, OneContainer, StreamedContainer
from .detail_types import ContainerDetail
from .follow_types import FollowExit, FollowFailed, FollowHello, FollowOom, FollowRound, FollowStat
from .host import HostAnswer
from .identity import ContainerIdentity

JSON = "application/json"
SSE = "text/event-stream"


class Nothing(msgspec.Struct, frozen=True):
    """An empty object."""


class Answer(NamedTuple):
    """A 200: its type (None: text), an example of it, and for streams the type of each event."""

    description: str
    media: str = JSON
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
        Answer("stat events, error if the round as a whole fails, done, the close.", SSE, events=STREAM_EVENTS),
        (401, 403, 429, 503),
    ),
    Route(
        "/api/containers/stats/follow",
        "Rounds at an interval, starts, ends and OOM kills, as Server-Sent Events",
        Answer("Stays open. Every event but hello has an id to resume from.", SSE, events=FOLLOW_EVENTS),
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
    Route("/", "The live page", Answer("For people.", "text/html"), (), (), ""),
    Route("/api/openapi.json", "This document", Answer("OpenAPI 3.1.", type=dict[str, Any]), (401, 429), (), ""),
)
PARAMETERS: dict[str, dict[str, Any]] = {
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
