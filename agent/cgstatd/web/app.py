"""The application: the routes, and the answers that are not 200."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.http import HttpProcessingError

from ..sampling.lookup import Ambiguous, NotFound
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from .guard import Guard
from .parts import EngineParts, Parts
from .routes.engine_answer import error_body
from .routes.table import add_engine_routes, add_routes, route_of
from .server.failure import COMMON_HEADERS, failure, unread
from .server.limits import RETRY_SECONDS
from .server.one_body import NoRoom

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors become a status and JSON, for all routes in this one place. No answer ever holds a stack trace."""
    try:
        response = await handler(request)
        return response if response.status < 400 else _in_its_words(request, response)
    except NotFound:
        return failure(404, "Container not found")
    except Ambiguous as error:
        return failure(400, f"Ambiguous container ID {error}")
    except (ListingFailed, ReadingFailed) as error:
        return unread(error)
    except NoRoom:
        return failure(503, "Too many answers in flight", Retry_After=str(RETRY_SECONDS))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return failure(405, "Method not allowed", f"allowed: {allowed}", Allow=allowed)
    except web.HTTPNotFound:
        return failure(404, "Not found")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return failure(error.status, error.reason)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        log.exception("path=%s", request.path[:200].encode("ascii", "backslashreplace").decode())
        return failure(500, "Internal error")


def _in_its_words(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """An error of the guard's; on a route of the Engine API with the message that its clients look for."""
    route, body = route_of(request), getattr(response, "body", None)
    if route is not None and route.engine and isinstance(response, web.Response) and isinstance(body, bytes):
        found = msgspec.json.decode(body)
        if isinstance(found, dict) and "message" not in found and "error" in found:
            response.body = error_body(found["error"])
    return response


async def _common_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(COMMON_HEADERS)


def _not_a_clients_mistake(record: logging.LogRecord) -> bool:
    """aiohttp logs a request that is not HTTP with its traceback: every client that can connect could fill the
    journal."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def make_app(parts: Parts, guard: Guard) -> web.Application:
    """The application that answers for one environment. ``guard`` has the callers of ``parts``."""
    app = _guarded(guard)
    add_routes(app.router, parts)
    return app


def make_engine_app(parts: EngineParts, guard: Guard) -> web.Application:
    """The Engine API alone, for a socket of its own."""
    app = _guarded(guard)
    add_engine_routes(app.router, parts)
    return app


def _guarded(guard: Guard) -> web.Application:
    logging.getLogger("aiohttp.server").addFilter(_not_a_clients_mistake)
    app = web.Application(middlewares=[errors_as_json, guard.middleware])
    app.on_response_prepare.extend((guard.mark_origin, _common_headers))
    return app
