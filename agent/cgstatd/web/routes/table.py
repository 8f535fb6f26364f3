"""The table of routes: path, handler, permission, stream or not. The router, the guard and OpenAPI are made from it.

A route that is not in it cannot be asked: the guard refuses what it does not find here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from ...auth.rules import Rule
from ...auth.tokens import CONTAINERS_VIEW, METRICS_VIEW
from ..server.failure import environment_not_found
from . import environments, follow, health, login, metrics, openapi, page, processes, queries, stats, stream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Rule):
    """A rule, and the handlers that answer."""

    handler: Handler
    elsewhere: Handler = environment_not_found
    """The handler of a request that may be asked, but for an environment that is not the agent's."""


ROUTES = (
    Route(path="/healthz", handler=health.healthz, open=True, brief=True),
    Route(path="/api/containers/stats", handler=stats.all_containers, permission=CONTAINERS_VIEW),
    Route(
        path="/api/containers/stats/stream",
        handler=stream.stream,
        elsewhere=stream.elsewhere,
        permission=CONTAINERS_VIEW,
        stream=True,
    ),
    Route(path="/api/containers/stats/follow", handler=follow.follow, permission=CONTAINERS_VIEW, stream=True),
    Route(path="/api/containers/{id}/stats", handler=stats.one_container, permission=CONTAINERS_VIEW),
    Route(path="/api/containers", handler=queries.listing, permission=CONTAINERS_VIEW),
    Route(path="/api/containers/{id}/detail", handler=queries.detail, permission=CONTAINERS_VIEW),
    Route(path="/api/containers/{id}/processes", handler=processes.processes, permission=CONTAINERS_VIEW),
    Route(path="/api/host", handler=queries.host, permission=CONTAINERS_VIEW),
    Route(path="/api/environments", handler=environments.environments, permission=CONTAINERS_VIEW),
    Route(path="/api/environments/{env}", handler=environments.environment, permission=CONTAINERS_VIEW),
    Route(path="/metrics", handler=metrics.metrics, permission=METRICS_VIEW),
    Route(path="/api/auth/login", method="POST", handler=login.login, open=True),
    Route(path="/api/auth/logout", method="POST", handler=login.logout, open=True),
    Route(path="/api/openapi.json", handler=openapi.openapi),
    # The page itself holds nothing of the host; what it asks for needs a token.
    Route(path="/", handler=page.live_page, open=True),
)
TABLE = {(route.method, route.path): route for route in ROUTES}


async def _nothing(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


NO_SUCH = Route(path="", handler=_nothing)
"""No such path or method: strangers are not told which there are."""


def add_routes(app: web.Application) -> None:
    """Every route of the table."""
    for route in ROUTES:
        path = route.path.replace("{id}", "{id:[^/]*}")  # an empty one is an invalid id, not another path
        if route.method == "GET":
            app.router.add_get(path, route.handler, allow_head=route.head)
        else:
            app.router.add_route(route.method, path, route.handler)


def route_of(request: web.Request) -> Route | None:
    """The route that a request means; None: the table does not say who may ask it."""
    match = request.match_info
    if match.http_exception is not None:
        return NO_SUCH
    resource = match.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return None if resource is None else TABLE.get((method, resource.canonical))
