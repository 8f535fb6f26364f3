"""The parameters of a request, and their bounds."""

from __future__ import annotations

from typing import Any

from ..config.settings import MAX_ENV
from ..sampling.process_list import MOST
from .follow_types import MAXIMUM_SECONDS, MINIMUM_SECONDS
from .history_types import MOST_ROUNDS, MOST_STEP, MOST_TIME, MOST_WORKLOAD
from .processes_json import DEFAULT_LIMIT, SORTS

_FIGURE = "(cpuPercent|memoryUsage|networkRxRate|networkTxRate|blockReadRate|blockWriteRate)"
PARAMETERS: dict[str, dict[str, Any]] = {
    "id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "A full id, an exact name, a unique prefix of an id, or runtime:name. After URL decoding it has "
        "no `/`, `\\`, `%` or NUL and no two dots side by side, and it is not a dot alone.",
        "schema": {"type": "string", "pattern": r"^(\.?[^./\\%\u0000])+\.?$"},
        "example": "web",
    },
    "preflight-id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "Anything: whether it is an id is said to the request that follows, where a page can read it.",
        "schema": {"type": "string", "minLength": 1},
        "example": "web",
    },
    "env-path": {
        "name": "env",
        "in": "path",
        "required": True,
        "description": "The environment that the agent is. Another one is not found.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_ENV},
        "example": 1,
    },
    "preflight-env": {
        "name": "env",
        "in": "path",
        "required": True,
        "description": "Anything: whether there is such an environment is said to the request that follows.",
        "schema": {"type": "string", "minLength": 1},
        "example": "1",
    },
    "env": {
        "name": "env",
        "in": "query",
        "description": "The environment that the agent is; may be left out or empty. Another one is not found.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_ENV},
        "allowEmptyValue": True,
        "example": 1,
    },
    "interval": {
        "name": "interval",
        "in": "query",
        "description": "Seconds between rounds; rounded up to a quarter of a second.",
        "schema": {"type": "number", "minimum": MINIMUM_SECONDS, "maximum": MAXIMUM_SECONDS, "default": 1},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "So many processes, the largest first.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
        "example": 10,
    },
    "sort": {
        "name": "sort",
        "in": "query",
        "description": "What makes a process large.",
        "schema": {"type": "string", "enum": list(SORTS), "default": SORTS[0]},
    },
    "since": {
        "name": "since",
        "in": "query",
        "description": "Milliseconds since the epoch, not after `until`; without it the oldest round in memory, or as "
        "long a time before `until`.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MOST_TIME},
    },
    "until": {
        "name": "until",
        "in": "query",
        "description": "The same; without it the latest round.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MOST_TIME},
    },
    "step": {
        "name": "step",
        "in": "query",
        "description": "Seconds of a step; rounded up to a multiple of `history_interval`, and longer where there "
        "would be more than 2,000.",
        "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_STEP},
        "example": 60,
    },
    "workload": {
        "name": "workload",
        "in": "query",
        "required": True,
        "description": "As the list, the detail and the notifications have it.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MOST_WORKLOAD},
        "example": "docker:web",
    },
    "line_step": {
        "name": "step",
        "in": "query",
        "description": "Seconds between two points, rounded up to a multiple of `history_interval`; more where a line "
        "would have more than 120 points, or the answer more than 500,000 values.",
        "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_STEP, "default": 60},
        "example": 10,
    },
    "figures": {
        "name": "figures",
        "in": "query",
        "description": "Some of `cpuPercent`, `memoryUsage`, `networkRxRate`, `networkTxRate`, `blockReadRate`, "
        "`blockWriteRate`, with commas between.",
        "schema": {"type": "string", "default": "cpuPercent,memoryUsage", "pattern": f"^{_FIGURE}(,{_FIGURE}){{0,6}}$"},
        "example": "cpuPercent,memoryUsage",
    },
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": "Of the last line that the client has; without it the oldest round comes first.",
        "schema": {"type": "string", "pattern": "^(([0-9]{1,9}-)?[0-9a-f]{1,16}-[0-9]{1,12})?$"},
        "allowEmptyValue": True,
    },
    "rounds": {
        "name": "limit",
        "in": "query",
        "description": "Rounds of a page. A page of 1 MiB ends too: a client goes on until it has the `latest`.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_ROUNDS, "default": 60},
    },
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that was received: go on from there. One that is not known any more "
        "begins anew (`resumed` and `missed` of the first event say which, and why).",
        "schema": {"type": "string"},
    },
    "Accept-Encoding": {
        "name": "Accept-Encoding",
        "in": "header",
        "description": "Whether the answer may be compressed: gzip or nothing, by their weights (RFC 9110, 12.5.3).",
        "schema": {"type": "string"},
        "example": "gzip",
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag that the client has.",
        "schema": {"type": "string"},
    },
    "Origin": {
        "name": "Origin",
        "in": "header",
        "required": True,
        "description": "The origin of the page that wants to ask; one of `allowed_origins`, compared exactly.",
        "schema": {"type": "string"},
        "example": "https://dash.example.org",
    },
    "Access-Control-Request-Method": {
        "name": "Access-Control-Request-Method",
        "in": "header",
        "required": True,
        "description": "What makes it a preflight.",
        "schema": {"type": "string"},
        "example": "GET",
    },
}
