"""GET /: the live page, one answer with its style and script inside. It asks this agent alone.

The files below static/ are put together at the first request; there is no build step. The browser runs only what has
their hashes: a name that smuggles markup in finds no script, style, image or connection to use.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files
from typing import NamedTuple

from aiohttp import web

SCRIPTS = (
    "format.js", "store.js", "groups.js", "stream.js", "spark.js", "track.js", "plot.js", "axis.js", "marks.js",
    "row.js", "table.js", "charts.js", "facts.js", "detail.js", "state.js", "stopped.js", "address.js", "waits.js",
    "live.js", "past.js", "panel.js", "page.js",
)  # fmt: skip
"""In the order in which they need each other; together they are one script."""


class Page(NamedTuple):
    """The whole answer."""

    body: bytes
    policy: str
    etag: str


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(script: str, style: str) -> str:
    """``data:`` is the icon's. Trusted Types: the script itself cannot turn text into markup either."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


@functools.cache
def page() -> Page:
    """Put the page together, once."""
    static = files("cgstatd.web") / "static"
    style = (static / "page.css").read_text("utf-8")
    parts = [(static / name).read_text("utf-8") for name in SCRIPTS]
    script = "\n".join(('(() => {\n"use strict";', *parts, "})();\n"))
    frame = (static / "index.html").read_text("utf-8")
    body = frame.replace("/* page.css */", style).replace("/* page.js */", script).encode()
    return Page(body, _policy(script, style), f'"{hashlib.sha256(body).hexdigest()[:32]}"')


async def live_page(_parts: object, request: web.Request) -> web.Response:
    """The page; 304 where the browser has it."""
    found = page()
    headers = {
        "ETag": found.etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": found.policy,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("If-None-Match") == found.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.body, content_type="text/html", charset="utf-8", headers=headers)
