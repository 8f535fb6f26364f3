"""The parameters of a request, and their bounds."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..config.settings import MAX_ENV
from ..sampling.process_list import MOST
from .follow_types import MAXIMUM_SECONDS, MINIMUM_SECONDS
from .history_types import MOST_ROUNDS, MOST_STEP, MOST_TIME, MOST_WORKLOAD
from .processes_json import DEFAULT_LIMIT, SORTS

_FIGURE = "(cpuPercent|memoryUsage|networkRxRate|networkTxRate|blockReadRate|blockWriteRate)"
_TEXT: dict[str, Any] = {"type": "string"}
_ENV: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_ENV}
_TIME: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MOST_TIME}
_STEP: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_STEP}


def _parameter(
    where: str,
    description: str,
    schema: dict[str, Any],
    *,
    name: str = "",
    required: bool = False,
    empty: bool = False,
    example: object = None,
) -> dict[str, Any]:
    """``where``: path, query or header; ``name``: where it is not the key; ``empty``: it may be without a value."""
    found: dict[str, Any] = {"name": name, "in": where}
    if required or where == "path":
        found["required"] = True
    found |= {"description": description, "schema": schema}
    if empty:
        found["allowEmptyValue"] = True
    return found if example is None else found | {"example": example}


_path, _query, _header = (partial(_parameter, where) for where in ("path", "query", "header"))
_ROWS: dict[str, dict[str, Any]] = {
    "id": _path(
        "A full id, an exact name, a unique prefix of an id, or runtime:name. After URL decoding it has "
        "no `/`, `\\`, `%` or NUL and no two dots side by side, and it is not a dot alone.",
        {"type": "string", "pattern": r"^(\.?[^./\\%\u0000])+\.?$"},
        example="web",
    ),
    "preflight-id": _path(
        "Anything: whether it is an id is said to the request that follows, where a page can read it.",
        _TEXT | {"minLength": 1},
        example="web",
        name="id",
    ),
    "env-path": _path("The environment that the agent is. Another one is not found.", _ENV, example=1, name="env"),
    "preflight-env": _path(
        "Anything: whether there is such an environment is said to the request that follows.",
        _TEXT | {"minLength": 1},
        example="1",
        name="env",
    ),
    "env": _query(
        "The environment that the agent is; may be left out or empty. Another one is not found.",
        _ENV,
        empty=True,
        example=1,
    ),
    "interval": _query(
        "Seconds between rounds; rounded up to a quarter of a second.",
        {"type": "number", "minimum": MINIMUM_SECONDS, "maximum": MAXIMUM_SECONDS, "default": 1},
    ),
    "limit": _query(
        "So many processes, the largest first.",
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
        example=10,
    ),
    "sort": _query("What makes a process large.", {"type": "string", "enum": list(SORTS), "default": SORTS[0]}),
    "since": _query(
        "Milliseconds since the epoch, not after `until`; without it the oldest round in memory, or as "
        "long a time before `until`.",
        _TIME,
    ),
    "until": _query("The same; without it the latest round.", _TIME),
    "step": _query(
        "Seconds of a step; rounded up to a multiple of `history_interval`, and longer where there "
        "would be more than 2,000.",
        _STEP,
        example=60,
    ),
    "workload": _query(
        "As the list, the detail and the notifications have it.",
        {"type": "string", "minLength": 1, "maxLength": MOST_WORKLOAD},
        required=True,
        example="docker:web",
    ),
    "line_step": _query(
        "Seconds between two points, rounded up to a multiple of `history_interval`; more where a line "
        "would have more than 120 points, or the answer more than 500,000 values.",
        _STEP | {"default": 60},
        example=10,
        name="step",
    ),
    "figures": _query(
        "Some of `cpuPercent`, `memoryUsage`, `networkRxRate`, `networkTxRate`, `blockReadRate`, "
        "`blockWriteRate`, with commas between.",
        {"type": "string", "default": "cpuPercent,memoryUsage", "pattern": f"^{_FIGURE}(,{_FIGURE}){{0,6}}$"},
        example="cpuPercent,memoryUsage",
    ),
    "cursor": _query(
        "Of the last line that the client has; without it the oldest round comes first.",
        {"type": "string", "pattern": "^(([0-9]{1,9}-)?[0-9a-f]{1,16}-[0-9]{1,12})?$"},
        empty=True,
    ),
    "rounds": _query(
        "Rounds of a page. A page of 1 MiB ends too: a client goes on until it has the `latest`.",
        {"type": "integer", "minimum": 1, "maximum": MOST_ROUNDS, "default": 60},
        name="limit",
    ),
    "Last-Event-ID": _header(
        "The id of the last event that was received: go on from there. One that is not known any more "
        "begins anew (`resumed` and `missed` of the first event say which, and why).",
        _TEXT,
    ),
    "Accept-Encoding": _header(
        "Whether the answer may be compressed: gzip or nothing, by their weights (RFC 9110, 12.5.3).",
        _TEXT,
        example="gzip",
    ),
    "If-None-Match": _header("The ETag that the client has.", _TEXT),
    "Origin": _header(
        "The origin of the page that wants to ask; one of `allowed_origins`, compared exactly.",
        _TEXT,
        required=True,
        example="https://dash.example.org",
    ),
    "Access-Control-Request-Method": _header("What makes it a preflight.", _TEXT, required=True, example="GET"),
}
PARAMETERS = {key: row | {"name": row["name"] or key} for key, row in _ROWS.items()}
