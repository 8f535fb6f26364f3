"""What the document says of each route beside what its rule demands: what it answers, with which headers."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from . import examples
from .api_responses import JSON, LOGIN_HEADERS, PAGE_HEADERS, STREAM_HEADERS
from .detail_types import ContainerDetail
from .environments import Environment
from .follow_types import FollowExit, FollowFailed, FollowHello, FollowOom, FollowRound, FollowStat
from .history_types import ContainerHistory, HistoryHead, HistoryLines, HistoryRound, HostHistory
from .host_json import HostAnswer
from .identity_json import ContainerIdentity
from .login import LoggedIn, LoggedOut, Login
from .pressure_types import FollowPressure
from .processes_json import ContainerProcesses
from .stats_json import Failure, Health, OneContainer, StreamedContainer

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


class Words(NamedTuple):
    """What the document says of a route beside what its rule does (web/routes/table.py)."""

    summary: str
    answer: Answer
    parameters: tuple[str, ...] = ()
    """Beside ``id`` and ``env``, which the rule knows of."""
    also: tuple[Answer, ...] = ()
    """The same in other media types."""
    errors: tuple[int, ...] = ()
    """Beside those that every path may answer, and 404 where something may not be found."""
    headers: tuple[str, ...] = ()
    """Of the 200, beside those of every answer."""
    cached: bool = False
    """Whether there is a 304."""
    plain: bool = False
    """Whether it is never compressed (web/routes/negotiated.py); a stream never is."""
    body: Any = None
    """The type of the request's body."""


STREAM_EVENTS = {"stat": StreamedContainer, "error": Failure, "done": Nothing}
FOLLOW_EVENTS = {
    "hello": FollowHello,
    "stat": FollowStat,
    "round": FollowRound,
    "failed": FollowFailed,
    "start": ContainerIdentity,
    "exit": FollowExit,
    "oom": FollowOom,
    "pressure": FollowPressure,
}
HISTORY_LINES = {"head": HistoryHead, "round": HistoryRound}
WORDS = {
    "GET /api/containers/{id}/stats": Words(
        "One container's figures", Answer("The eleven figures.", type=OneContainer, example=examples.ONE)
    ),
    "GET /api/containers/stats": Words(
        "Figures of all running containers",
        Answer("One object each.", type=list[StreamedContainer], example=[examples.STREAMED]),
        headers=("Cgstatd-Interval",),
    ),
    "GET /api/containers/stats/stream": Words(
        "The same once, as Server-Sent Events",
        Answer("stat events, error if the round as a whole fails, done, the close.", SSE, events=STREAM_EVENTS),
        headers=(*STREAM_HEADERS, "Connection", "Cgstatd-Interval"),
    ),
    "GET /api/containers/stats/follow": Words(
        "Rounds at an interval, starts, ends, OOM kills and what waits, as Server-Sent Events",
        Answer("Stays open. Every event but hello has an id to resume from.", SSE, events=FOLLOW_EVENTS),
        ("interval", "Last-Event-ID"),
        headers=STREAM_HEADERS,
    ),
    "GET /api/containers": Words(
        "Who is there, stopped containers included",
        Answer("One object each.", type=list[ContainerIdentity], example=[examples.IDENTITY]),
    ),
    "GET /api/containers/{id}/detail": Words(
        "Everything that is known of one container",
        Answer("Each value with its source or the reason why there is none.", type=ContainerDetail),
    ),
    "GET /api/containers/{id}/processes": Words(
        "The largest processes of one container",
        Answer("How many there are, and the first of them.", type=ContainerProcesses, example=examples.PROCESSES),
        ("limit", "sort"),
    ),
    "GET /api/host": Words(
        "The host, the sums over its containers, and the agent's own cost", Answer("The host.", type=HostAnswer)
    ),
    "GET /api/containers/{id}/history": Words(
        "One container's past in steps",
        Answer("Mean and largest of each figure; steps without figures have a reason.", type=ContainerHistory),
        ("since", "until", "step"),
    ),
    "GET /api/workloads/history": Words(
        "The past of all containers of a workload in the same steps, those that are gone too",
        Answer("As of one container; the id and the name are those of the latest.", type=ContainerHistory),
        ("workload", "since", "until", "step"),
    ),
    "GET /api/containers/history": Words(
        "The last minutes of all containers at once, few points each",
        Answer("What is in memory of the containers that are there.", type=HistoryLines),
        ("since", "line_step", "figures"),
    ),
    "GET /api/host/history": Words(
        "The host's past in steps", Answer("The same of the host.", type=HostHistory), ("since", "until", "step")
    ),
    "GET /api/history": Words(
        "Every round behind a cursor, for a server that was away: a JSON object a line",
        Answer("A head, then the rounds in order, each once.", "application/x-ndjson", events=HISTORY_LINES),
        ("cursor", "rounds"),
    ),
    "GET /metrics": Words(
        "Prometheus metrics with cAdvisor's names and labels, the host's with node_exporter's",
        Answer("The text format.", "text/plain"),
        also=(Answer("OpenMetrics, where Accept asks for it.", "application/openmetrics-text"),),
    ),
    "GET /healthz": Words(
        "Whether the containers can be listed; who shows no credentials where they are demanded is not told why not",
        Answer("They can.", type=Health, example={"status": "ok"}),
        plain=True,
    ),
    "GET /": Words(
        "The live page",
        Answer("For people.", "text/html"),
        ("If-None-Match",),
        headers=PAGE_HEADERS,
        cached=True,
        plain=True,
    ),
    "GET /api/openapi.json": Words("This document", Answer("OpenAPI 3.1.", type=dict[str, Any])),
    "GET /api/environments": Words(
        "The environments that there are: the agent's own",
        Answer("One object.", type=list[Environment], example=[examples.ENVIRONMENT]),
        plain=True,
    ),
    "GET /api/environments/{env}": Words(
        "One environment", Answer("The agent's own.", type=Environment, example=examples.ENVIRONMENT), plain=True
    ),
    "POST /api/auth/login": Words(
        "A cookie of a token's rights, for clients that log in: the token is the password",
        Answer("The cookie is in Set-Cookie.", type=LoggedIn),
        errors=(401, 415, 429),
        headers=LOGIN_HEADERS,
        body=Login,
        plain=True,
    ),
    "POST /api/auth/logout": Words(
        "The end of the session that the cookie names",
        Answer("There is none any more.", type=LoggedOut),
        headers=LOGIN_HEADERS,
        plain=True,
    ),
}
"""By method and path. A route without words is a bug: the document cannot be made."""
