"""POST /api/auth/login and /api/auth/logout: for clients of Dockhand that log in instead of sending a token.

The client sends the token as the password, and gets a cookie of the same rights. A body must say that it is JSON: a
page of another origin can send that only after a preflight, which the agent refuses. So such a page cannot log a
browser in with a token of its own. No request changes anything else, so there is nothing else to forge.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import cast

import msgspec
from aiohttp import web

from ...auth import sessions
from ...outputs.login import LoggedIn, LoggedOut, Login, User
from ..parts import Parts
from ..security.cookie import COOKIE, cookie_of
from ..server.failure import failure
from ..server.handler import Handler

MAX_BODY_BYTES = 4096
BODY_SECONDS = 5.0
_PIECE_BYTES = 1024
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Login).decode


async def login(parts: Parts, request: web.Request) -> web.StreamResponse:
    """A token for a cookie. If the agent demands no credentials, any login succeeds and means nothing."""
    if request.content_type != "application/json":
        return _ended(failure(415, "Unsupported media type", "expected Content-Type: application/json"))
    body = await _body(request)
    if body is None:
        return _ended(failure(413, "Request body too large", f"at most {MAX_BODY_BYTES} bytes"))
    try:
        given = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return failure(400, "Invalid login", 'expected {"username": "…", "password": "a token"}')
    callers = parts.callers
    if not callers.wants_token:
        return _logged_in(request, given.username, secrets.token_urlsafe(32))
    token = callers.exchange(given.password, cast(Handler, request.protocol).peer)
    if isinstance(token, web.Response):
        return token
    return _logged_in(request, token.name, callers.sessions.open(token))


async def logout(parts: Parts, request: web.Request) -> web.StreamResponse:
    """The end of a session, if there is one."""
    if await _body(request) is None:
        return _ended(failure(413, "Request body too large", f"at most {MAX_BODY_BYTES} bytes"))
    parts.callers.sessions.close(sessions.key_of(cookie_of(request)))
    response = web.Response(body=_encode(LoggedOut()), content_type="application/json")
    response.headers["Set-Cookie"] = f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{_secure(request)}"
    response.headers["Cache-Control"] = "no-store"
    return response


def _logged_in(request: web.Request, name: str, value: str) -> web.Response:
    body = _encode(LoggedIn(User(name.encode("utf-8", "backslashreplace").decode())))
    response = web.Response(body=body, content_type="application/json")
    lasting = f"Max-Age={sessions.SECONDS}; HttpOnly; SameSite=Strict{_secure(request)}"
    response.headers["Set-Cookie"] = f"{COOKIE}={value}; Path=/; {lasting}"
    response.headers["Cache-Control"] = "no-store"
    return response


def _secure(request: web.Request) -> str:
    """A cookie that came over TLS (here, or at the proxy in front) is never sent without TLS."""
    return "; Secure" if request.secure or request.headers.get("X-Forwarded-Proto") == "https" else ""


async def _body(request: web.Request) -> bytes | None:
    """The body; None: it is too large. Raises ConnectionError where it does not come in time."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while piece := await request.content.read(_PIECE_BYTES):
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    return None
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the body did not come") from None
    return body


def _ended(response: web.Response) -> web.Response:
    """The rest of the body is not read."""
    response.force_close()
    response.headers["Connection"] = "close"
    return response
