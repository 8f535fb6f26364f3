"""Errors as JSON, as a response and as the bytes for a connection that gets no response object."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from ... import __version__
from ...outputs.stats_json import encode_failure
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed, OutOfResources
from .limits import RETRY_SECONDS

ENVIRONMENT_NOT_FOUND = "Environment not found"
COMMON_HEADERS = {"Server": f"cgstatd/{__version__}", "X-Content-Type-Options": "nosniff"}
"""On every answer: the server's name (else aiohttp gives its own and Python's version), and that the type is meant."""


def failure(status: int, error: str, message: str = "", **headers: str) -> web.Response:
    """An error; header names have underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=status,
        body=encode_failure(error, message),
        content_type="application/json",
        headers=COMMON_HEADERS | named,  # here too: what is no HTTP request gets an answer without the application
    )


async def environment_not_found(_request: web.Request) -> web.StreamResponse:
    """What is asked for is of another environment than the agent's."""
    return failure(404, ENVIRONMENT_NOT_FOUND)


def unread(error: ListingFailed | ReadingFailed) -> web.Response:
    """The error of a reading that failed: 503 where the agent has run out of something, and may have it again soon."""
    if isinstance(error, OutOfResources):
        return failure(503, str(error), Retry_After=str(RETRY_SECONDS))
    return failure(500, str(error))


def raw_failure(status: HTTPStatus, error: str, **headers: str) -> bytes:
    """The same as bytes, with the end of the connection announced."""
    body = encode_failure(error)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{n}: {v}" for n, v in (COMMON_HEADERS | named).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
