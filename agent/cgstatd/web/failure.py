"""Errors as JSON, as a response and as the bytes for a connection that gets no response object."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from ..outputs.answers import encode_failure


def failure(status: int, error: str, message: str = "", **headers: str) -> web.Response:
    """An error; header names have underscores for dashes."""
    response = web.Response(status=status, body=encode_failure(error, message), content_type="application/json")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def raw_failure(status: HTTPStatus, error: str, **headers: str) -> bytes:
    """The same as bytes, with the end of the connection announced."""
    body = encode_failure(error)
    headers |= {"Content_Type": "application/json", "Content_Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
