"""Every route: what it answers, with which statuses, and what it needs."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from . import examples
from .answers import Failure, Health, OneContainer, StreamedContainer
from .api_responses import ANY, JSON, PAGE_HEADERS, STREAM_HEADERS, WITH_CREDENTIALS
from .detail_types import ContainerDetail
from .follow_types import FollowExit, FollowFailed, FollowHello, FollowOom, FollowRound, FollowStat
from .host import HostAnswer
from .identity import ContainerIdentity

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
    parameters: tuple[str, ...] = ("env",)
    permission: str = "containers:view"
    also: tuple[Answer, ...] = ()
    """The same in other media types."""
    errors: tuple[int, ...] = ()
    """Beside those that every path may answer."""
    headers: tuple[str, ...] = ()
    """Of the 200, beside those of every answer."""
    open: bool = False
    """Answered without credentials too."""
    head: bool = True
    """Whether HEAD is answered: not where an answer is a stream."""
    cached: bool = False
    """Whether there is a 304."""

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status that is not the route's own."""
        return (*ANY, *(() if self.open else WITH_CREDENTIALS), *self.errors)


_NOT_FOUND = (404,)
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
        ("id", "env"),
        errors=_NOT_FOUND,
    ),
    Route(
        "/api/containers/stats",
        "Figures of all running containers",
        Answer("One object each.", type=list[StreamedContainer], example=[examples.STREAMED]),
        errors=_NOT_FOUND,
        headers=("Cgstatd-Interval",),
    ),
    Route(
        "/api/containers/stats/stream",
        "The same once, as Server-Sent Events",
        Answer("stat events, error if the round as a whole fails, done, the close.", SSE, events=STREAM_EVENTS),
        headers=(*STREAM_HEADERS, "Connection", "Cgstatd-Interval"),
        head=False,
    ),
    Route(
        "/api/containers/stats/follow",
        "Rounds at an interval, starts, ends and OOM kills, as Server-Sent Events",
        Answer("Stays open. Every event but hello has an id to resume from.", SSE, events=FOLLOW_EVENTS),
        ("env", "interval", "Last-Event-ID"),
        errors=_NOT_FOUND,
        headers=STREAM_HEADERS,
        head=False,
    ),
    Route(
        "/api/containers",
        "Who is there, stopped containers included",
        Answer("One object each.", type=list[ContainerIdentity], example=[examples.IDENTITY]),
        errors=_NOT_FOUND,
    ),
    Route(
        "/api/containers/{id}/detail",
        "Everything that is known of one container",
        Answer("Each value with its source or the reason why there is none.", type=ContainerDetail),
        ("id", "env"),
        errors=_NOT_FOUND,
    ),
    Route(
        "/api/host",
        "The host, the sums over its containers, and the agent's own cost",
        Answer("The host.", type=HostAnswer),
        errors=_NOT_FOUND,
    ),
    Route(
        "/metrics",
        "Prometheus metrics with cAdvisor's names and labels, the host's with node_exporter's",
        Answer("The text format.", "text/plain"),
        (),
        "metrics:view",
        (Answer("OpenMetrics, where Accept asks for it.", "application/openmetrics-text"),),
    ),
    Route(
        "/healthz",
        "Whether the containers can be listed; who shows no credentials where they are demanded is not told why not",
        Answer("They can.", type=Health, example={"status": "ok"}),
        (),
        "",
        open=True,
    ),
    Route(
        "/",
        "The live page",
        Answer("For people.", "text/html"),
        ("If-None-Match",),
        "",
        headers=PAGE_HEADERS,
        open=True,
        cached=True,
    ),
    Route("/api/openapi.json", "This document", Answer("OpenAPI 3.1.", type=dict[str, Any]), (), ""),
)
