"""Which permission each route needs: one table, and a route that is not in it is refused to everybody."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from ..auth.tokens import CONTAINERS_VIEW, METRICS_VIEW


@dataclass(frozen=True, slots=True)
class Rule:
    """``permission``: what a token must allow; empty: any valid token will do."""

    permission: str = ""
    open: bool = False
    """Answered without credentials too."""
    brief: bool = False
    """What an open route says to those without credentials is its status alone."""
    stream: bool = False
    """Stays open, and is counted."""


ANY_TOKEN = Rule()
OPEN = Rule(open=True)

RULES = {
    "/healthz": Rule(open=True, brief=True),
    "/": OPEN,  # the page itself holds nothing of the host; what it asks for needs a token
    "/api/openapi.json": ANY_TOKEN,
    "/api/containers": Rule(CONTAINERS_VIEW),
    "/api/containers/stats": Rule(CONTAINERS_VIEW),
    "/api/containers/stats/stream": Rule(CONTAINERS_VIEW, stream=True),
    "/api/containers/stats/follow": Rule(CONTAINERS_VIEW, stream=True),
    "/api/containers/{id}/stats": Rule(CONTAINERS_VIEW),
    "/api/containers/{id}/detail": Rule(CONTAINERS_VIEW),
    "/api/host": Rule(CONTAINERS_VIEW),
    "/metrics": Rule(METRICS_VIEW),
}


def rule_of(request: web.Request) -> Rule | None:
    """The rule of a request's route; None: nobody decided who may ask it."""
    match = request.match_info
    if match.http_exception is not None:
        return ANY_TOKEN  # no such path or method: strangers are not told which there are
    resource = match.route.resource
    return None if resource is None else RULES.get(resource.canonical)
