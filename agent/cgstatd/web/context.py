"""What every handler needs, and the checks that come before each answer."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from ..ascii import is_number
from ..feed import Feed


@dataclass(frozen=True, slots=True)
class Context:
    """The feed, and the environment that this agent is."""

    feed: Feed
    env_id: int


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)

_FORBIDDEN = ("..", "/", "\\", "\0", "%")


def valid_container_id(text: str) -> bool:
    """Whether an id (after URL decoding) may be looked up at all."""
    return bool(text) and not any(part in text for part in _FORBIDDEN)


def knows_environment(request: web.Request, context: Context) -> bool:
    """Whether ``env`` is this agent's environment; a request without one (or with an empty one) means it."""
    env = request.query.get("env")
    if not env:
        return True
    return is_number(env) and int(env) == context.env_id


def restraint_headers(context: Context) -> dict[str, str]:
    """``Cgstatd-Interval``: the seconds between readings, where they cost too much to be made for each request."""
    seconds = context.feed.stretched()
    return {} if seconds is None else {"Cgstatd-Interval": f"{seconds:g}"}
