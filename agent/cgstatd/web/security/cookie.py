"""The cookie of a session."""

from __future__ import annotations

from aiohttp import web

COOKIE = "dockhand_session"
"""Dockhand's: some of its clients look for this name."""


def cookie_of(request: web.Request) -> str:
    """The session's cookie; empty: there is none."""
    for header in request.headers.getall("Cookie", ()):
        for part in header.split(";"):
            name, _, value = part.strip(" \t").partition("=")
            if name == COOKIE:
                return value.strip(' \t"')
    return ""
