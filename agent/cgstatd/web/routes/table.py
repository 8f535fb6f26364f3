"""The table of routes: path, handler, permission, stream or not. The router, the guard and OpenAPI are made from it.

A route that is not in it cannot be asked: the guard refuses what it does not find here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import cast

from aiohttp import web

from ...auth.rules import Rule
from ...auth.tokens import CONTAINERS_VIEW, METRICS_VIEW
from ..parts import EngineParts, Parts
from ..server.failure import environment_not_found
from . import (
    engine,
    environments,
    follow,
    health,
    history,
    login,
    metrics,
    openapi,
    page,
    processes,
    queries,
    stats,
    stream,
)
from .engine_api import ENGINE, HAWSER, EngineRoute, over_http, streamed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""As aiohttp has it: one that knows its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Rule):
    """A rule, and the handlers that answer."""

    handler: Callable[[Parts, web.Request], Awaitable[web.StreamResponse]]
    elsewhere: Handler = environment_not_found
    """The handler of a request that may be asked, but for an environment that is not the agent's."""
    streamed: Callable[[web.Request], bool] | None = None
    """Which requests of a stream's route stay open; None: all."""
    engine: bool = False
    """Of the Engine API: errors are in its words, and a token may come as a Dockhand server sends it."""

    @property
    def may_miss(self) -> bool:
        """Not where another environment has a handler of its own."""
        return bool(self.permission) and self.elsewhere is environment_not_found


ROUTES: tuple[Route, ...] = (
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
    Route(path="/api/containers/{id}/history", handler=history.container, permission=CONTAINERS_VIEW),
    Route(path="/api/containers/history", handler=history.all_containers, permission=CONTAINERS_VIEW),
    Route(path="/api/workloads/history", handler=history.workload, permission=CONTAINERS_VIEW),
    Route(path="/api/host", handler=queries.host, permission=CONTAINERS_VIEW),
    Route(path="/api/host/history", handler=history.host, permission=CONTAINERS_VIEW),
    Route(path="/api/history", handler=history.rounds, permission=CONTAINERS_VIEW),
    Route(path="/api/environments", handler=environments.environments, permission=CONTAINERS_VIEW),
    Route(path="/api/environments/{env}", handler=environments.environment, permission=CONTAINERS_VIEW),
    Route(path="/metrics", handler=metrics.metrics, permission=METRICS_VIEW),
    Route(path="/api/auth/login", method="POST", handler=login.login, open=True),
    Route(path="/api/auth/logout", method="POST", handler=login.logout, open=True),
    Route(path="/api/openapi.json", handler=openapi.documented(lambda: ROUTES)),
    # The page itself holds nothing of the host; what it asks for needs a token.
    Route(path="/", handler=page.live_page, open=True),
)


def _engine(known: EngineRoute, method: str = "GET") -> tuple[Route, ...]:
    """A route of the Engine API, with and without the version in front."""
    return tuple(
        Route(
            path=prefix + known.path,
            method=method,
            handler=partial(over_http, known.handler),
            permission="" if known.open else CONTAINERS_VIEW,
            open=known.open,
            stream=known.stream,
            streamed=streamed if known.stream else None,
            engine=True,
        )
        for prefix in ("", "/{version}")[: 2 if known.versioned else 1]
    )


ENGINE_ROUTES = tuple(route for known in ENGINE for route in _engine(known))
HAWSER_ROUTES = tuple(route for known in HAWSER for route in _engine(known))
_REFUSED = (
    "_hawser _ping auth build commit configs containers distribution events exec grpc images info networks nodes "
    "plugins secrets services session swarm system tasks version volumes"
).split()
"""The first words of the Engine API's paths: what is below them and not in the table is refused."""
_REST = EngineRoute("/{rest}", engine.refuse)
EVERYTHING_ELSE = _engine(_REST, "*")[:1]
"""On a socket that has the Engine API alone."""
REFUSALS = (
    *(
        route
        for path in (*(f"/{word}" for word in _REFUSED), *(f"/{word}/{{rest}}" for word in _REFUSED))
        for route in _engine(EngineRoute(path, engine.refuse, versioned=False), "*")
    ),
    _engine(_REST, "*")[1],
)
_EVERYTHING: tuple[Route, ...] = (*ROUTES, *ENGINE_ROUTES, *HAWSER_ROUTES, *REFUSALS)
TABLE = {(route.method, route.path): route for route in _EVERYTHING}
_OF_THE_SOCKET = {(route.method, route.path): route for route in EVERYTHING_ELSE}


async def _nothing(_parts: object, _request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


NO_SUCH = Route(path="", handler=_nothing)
"""No such path or method: strangers are not told which there are."""


def add_routes(router: web.UrlDispatcher, parts: Parts) -> None:
    """Every route of the table."""
    _add(router, _EVERYTHING, parts)


def add_engine_routes(router: web.UrlDispatcher, parts: EngineParts) -> None:
    """Those of the Engine API alone; everything else is refused."""
    _add(router, (*ENGINE_ROUTES, *HAWSER_ROUTES, *EVERYTHING_ELSE), cast(Parts, parts))  # as `_engine` takes them


_PATTERNS = {
    "{id}": "{id:[^/]*}",  # an empty one is an invalid id, not another path
    "{version}": "{version:v1\\.[0-9]{1,3}}",
    "{rest}": "{rest:.*}",
    "/images/{name}/": "/images/{name:.+}/",
}


def _add(router: web.UrlDispatcher, routes: Iterable[Route], parts: Parts) -> None:
    for route in routes:
        path = route.path
        for part, pattern in _PATTERNS.items():
            path = path.replace(part, pattern)
        handler = partial(route.handler, parts)
        if route.method == "GET":
            router.add_get(path, handler, allow_head=route.head)
        else:
            router.add_route(route.method, path, handler)


def route_of(request: web.Request) -> Route | None:
    """The route that a request means; None: the table does not say who may ask it."""
    match = request.match_info
    if match.http_exception is not None:
        return NO_SUCH
    resource = match.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    if resource is None:
        return None
    path = resource.canonical
    return TABLE.get((method, path)) or TABLE.get(("*", path)) or _OF_THE_SOCKET.get(("*", path))
