"""Every answer that is not a route's own: what it means, and its headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

JSON = "application/json"


def _text(description: str, *values: str, required: bool = True) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if values:
        schema["enum"] = list(values)
    return {"description": description, "required": required, "schema": schema}


HEADERS: dict[str, dict[str, Any]] = {
    "Server": _text("cgstatd and its version."),
    "X-Content-Type-Options": _text("The media type is what it says.", "nosniff"),
    "Vary": _text(
        "Accept-Encoding where the answer may be compressed, Accept of the metrics; Origin where `allowed_origins` is "
        "set.",
        required=False,
    ),
    "Access-Control-Allow-Origin": _text("The Origin, where `allowed_origins` has it.", required=False),
    "Access-Control-Allow-Methods": _text("What a page may do.", "GET"),
    "Access-Control-Allow-Headers": _text("What a page may send along."),
    "Access-Control-Max-Age": {"description": "Seconds.", "required": True, "schema": {"type": "integer"}},
    "Cgstatd-Interval": _text(
        "How many seconds readings are apart, where they cost too much to be made for each request (`max_cpu`).",
        required=False,
    ),
    "Allow": _text("The path's methods."),
    "Cache-Control": _text("Ask again each time, or keep nothing of it.", "no-cache", "no-store"),
    "Connection": _text("The connection ends with this answer.", "close"),
    "Content-Encoding": _text("Where Accept-Encoding asks for it; not below 1 KiB.", "gzip", required=False),
    "Content-Security-Policy": _text("What the page may do in a browser: nothing but run its own script."),
    "Cross-Origin-Opener-Policy": _text("No other origin's window gets hold of the page.", "same-origin"),
    "Cross-Origin-Resource-Policy": _text("No other origin's page may embed it.", "same-origin"),
    "ETag": _text("Changes with the page."),
    "Referrer-Policy": _text("The browser tells the page's address to no other site.", "no-referrer"),
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Set-Cookie": _text("The session; after a logout: none."),
    "WWW-Authenticate": _text("How to show credentials.", "Bearer"),
    "X-Accel-Buffering": _text("Asks a proxy to hand each event on at once.", "no"),
}
COMMON = ("Server", "X-Content-Type-Options", "Vary", "Access-Control-Allow-Origin")
PAGE_HEADERS = (
    "ETag", "Cache-Control", "Content-Security-Policy", "Referrer-Policy", "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
)  # fmt: skip
LOGIN_HEADERS = ("Set-Cookie", "Cache-Control")
STREAM_HEADERS = ("Cache-Control", "X-Accel-Buffering")
PREFLIGHT_HEADERS = ("Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age")

ERRORS: dict[int, tuple[str, str, str, tuple[str, ...]]] = {
    400: (
        "BadRequest",
        "Not HTTP/1.0 or 1.1, or a line of the request is too long. Where there are an id and an interval: it is "
        "invalid, or the id is that of several containers.",
        "Invalid container ID",
        (),
    ),
    401: ("Unauthorized", "Credentials are missing or wrong.", "Unauthorized", ("WWW-Authenticate",)),
    403: (
        "Forbidden",
        "The credentials do not allow this, or the client certificate is not admitted. On a loopback listener also: "
        "the Host header is none of the agent's names (DNS rebinding).",
        "Permission denied",
        (),
    ),
    404: ("NotFound", "There is no such container or environment.", "Container not found", ()),
    405: ("MethodNotAllowed", "The path has no such method.", "Method not allowed", ("Allow",)),
    413: (
        "BodyNotAllowed",
        "A request has no body here; that of a login or logout is larger than 4 KiB.",
        "Request body not allowed",
        ("Connection",),
    ),
    415: ("NotJson", "The body does not say that it is JSON.", "Unsupported media type", ("Connection",)),
    417: ("ExpectationFailed", "An Expect header other than 100-continue.", "Expectation failed", ()),
    429: ("TooManyFailures", "Too many failed attempts from this address.", "Too many failures", ("Retry-After",)),
    431: ("HeadTooLarge", "More than 64 KiB were sent ahead of the answer.", "Request too large", ("Connection",)),
    500: (
        "Failed",
        "The kernel's files could not be read, and the error says which; or the agent has a bug, which it logs.",
        "cannot list the containers: /sys/fs/cgroup: Permission denied",
        (),
    ),
    503: (
        "Unavailable",
        "Too many connections, streams or answers in flight, the tokens cannot be checked just now, the connection is "
        "older than a change of the authorities of client certificates, or the agent has no descriptor or memory left "
        "to read with; of the health: why the containers cannot be listed.",
        "Too many connections",
        ("Retry-After",),
    ),
}
"""Status -> the name of the component, what it means, an example of the error, headers of its own."""
ANY = (400, 403, 405, 413, 417, 431, 500, 503)
"""Answers that every path may give, to any client."""
WITH_CREDENTIALS = (401, 429)


def headers(names: Sequence[str]) -> dict[str, Any]:
    """References to headers, those of every answer included."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*COMMON, *names)}


def failures(statuses: Sequence[int]) -> dict[str, Any]:
    """References to the answers of an operation that are not its own."""
    return {str(status): {"$ref": f"#/components/responses/{ERRORS[status][0]}"} for status in sorted(statuses)}


def components(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What they refer to; ``schema``: an error's."""
    return {
        name: {
            "description": description,
            "headers": headers(own),
            "content": {JSON: {"schema": schema, "example": {"error": example}}},
        }
        for name, description, example, own in ERRORS.values()
    }
