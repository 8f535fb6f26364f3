"""The Engine API, read-only: what monitors ask Docker, answered without an engine.

Each path is there with a version prefix (``/v1.45``) and without. What is not in the table is refused with 403.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from ...basics.text import is_number, printable
from ...feed.engine import NotRunning
from ...outputs.engine import container_filters, containers, inventory, processes, system
from ...outputs.engine.filters import BadFilter, Unanswerable, parse_filters
from ...outputs.shown_labels import encode_with_labels
from ...sampling.lookup import Ambiguous, NotFound
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed, OutOfResources
from ..parts import EngineParts
from ..server.limits import RETRY_SECONDS
from ..server.one_body import NoRoom, answer
from .checks import valid_container_id

T = TypeVar("T")
Handler = Callable[[EngineParts, web.Request], Awaitable[web.StreamResponse]]
_VERSION = re.compile(r"v1\.([0-9]{1,3})")
_NEWEST, _OLDEST = (int(text.partition(".")[2]) for text in (system.API_VERSION, system.MIN_API_VERSION))
_encode = msgspec.json.Encoder().encode
_JSON = "application/json"


class NoSuch(Exception):
    """No such image, network or volume. The text is what Docker says of it."""


def refusal(status: int, message: str, **headers: str) -> web.Response:
    """An error as clients of the Engine API read it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=status, body=_encode({"message": message}), content_type=_JSON, headers=system.HEADERS | named
    )


def in_engine_words(response: web.StreamResponse) -> web.StreamResponse:
    """An error of the guard's with the message that clients of the Engine API look for."""
    body = getattr(response, "body", None)
    if isinstance(response, web.Response) and isinstance(body, bytes) and response.content_type == _JSON:
        found = msgspec.json.decode(body)
        if isinstance(found, dict) and "message" not in found and "error" in found:
            response.body = _encode({"message": found["error"]})
    return response


def engine_route(handler: Handler) -> Handler:
    """The version that the path names, the errors, the headers."""

    @functools.wraps(handler)
    async def answered(parts: EngineParts, request: web.Request) -> web.StreamResponse:
        wrong = _wrong_version(request.match_info.get("version"))
        if wrong is not None:
            return wrong
        try:
            response = await handler(parts, request)
        except NotFound:
            return refusal(404, f"No such container: {printable(request.match_info.get('container', ''), 80)}")
        except NoSuch as error:
            return refusal(404, str(error))
        except Ambiguous:
            return refusal(400, f"multiple IDs found with provided prefix: {wanted_container(request)}")
        except NotRunning as error:
            return refusal(409, f"container {error} is not running")
        except BadFilter as error:
            return refusal(501 if isinstance(error, Unanswerable) else 400, str(error))
        except OutOfResources as error:
            return refusal(503, str(error), Retry_After=str(RETRY_SECONDS))
        except (ListingFailed, ReadingFailed) as error:
            return refusal(500, str(error))
        except NoRoom:
            return refusal(503, "too many answers in flight", Retry_After=str(RETRY_SECONDS))
        if not response.prepared:
            response.headers.update(system.HEADERS)
        return response

    return answered


def _wrong_version(text: str | None) -> web.Response | None:
    found = None if text is None else _VERSION.fullmatch(text)
    if found is None:
        return None
    if int(found[1]) > _NEWEST:
        return refusal(
            400, f"client version {found[0][1:]} is too new. Maximum supported API version is {system.API_VERSION}"
        )
    if int(found[1]) < _OLDEST:
        return refusal(
            400,
            f"client version {found[0][1:]} is too old. Minimum supported API version is {system.MIN_API_VERSION}, "
            "please upgrade your client to a newer version",
        )
    return None


def wanted_container(request: web.Request) -> str:
    """The container that the path names. Raises NotFound."""
    wanted = request.match_info["container"]
    if not valid_container_id(wanted) or len(wanted) > 512:
        raise NotFound(wanted)
    return wanted


def engine_answer(parts: EngineParts, what: Any) -> web.Response:
    """As JSON, in the budget of all answers. Raises NoRoom."""
    _make_room(parts)
    return answer(parts.bodies.hold(encode_with_labels(what) + b"\n"), _JSON)


async def _computed(parts: EngineParts, make: Callable[[], Any]) -> web.Response:
    """The same of what ``make`` returns, computed beside the event loop: it grows with the containers, and with what a
    client has written. Raises NoRoom, and what ``make`` raises."""
    _make_room(parts)
    made = await parts.engine.answers.run(lambda: encode_with_labels(make()) + b"\n")
    return answer(parts.bodies.hold(made), _JSON)


def _make_room(parts: EngineParts) -> None:
    if not parts.bodies.admit(0):
        raise NoRoom


def is_on(text: str | None, default: bool = False) -> bool:
    """A switch as Docker takes it: everything but these words is on."""
    if text is None:
        return default
    return text.strip().lower() not in ("", "0", "no", "false", "none")


async def ping(_parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """GET /_ping"""
    return web.Response(text="OK")


async def version(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """GET /version"""
    return engine_answer(parts, system.version(await parts.engine.host.get()))


async def info(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """GET /info"""
    engine = parts.engine
    host, several = await engine.host.get(), await engine.listed.get()
    return await _computed(parts, lambda: system.info(host, several))


async def listing(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /containers/json"""
    query = request.query
    filters = parse_filters(query.get("filters"), container_filters.FILTERS)
    limit = query.get("limit") or "0"
    if limit != "-1" and not is_number(limit, 9):
        raise BadFilter(f"invalid limit {printable(limit, 40)!r}")
    everything, several, now = is_on(query.get("all")), await parts.engine.listed.get(), time.time()

    def make() -> list[dict[str, Any]]:
        chosen = container_filters.chosen(several, filters, everything=everything, limit=int(limit))
        return [containers.summary(each, now) for each in chosen]

    return await _computed(parts, make)


async def inspect(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /containers/{container}/json"""
    return engine_answer(parts, containers.inspected(await parts.engine.one(wanted_container(request))))


async def top(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /containers/{container}/top"""
    engine = parts.engine
    found, host = await engine.processes(wanted_container(request)), await engine.host.get()
    ps_args = request.query.get("ps_args", "")
    return engine_answer(parts, processes.top(found, time.time(), ps_args, host.memory_bytes))


async def images(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """GET /images/json"""
    several = await parts.engine.listed.get()
    return await _computed(parts, lambda: inventory.images(several))


async def networks(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """GET /networks"""
    several = await parts.engine.listed.get()
    return await _computed(parts, lambda: inventory.networks(several))


async def image(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /images/{name}/json"""
    wanted, several = request.match_info["name"], await parts.engine.listed.get()
    return await _computed(
        parts,
        lambda: _found(inventory.image(several, wanted), f"No such image: {inventory.tagged(printable(wanted, 80))}"),
    )


async def network(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /networks/{name}"""
    wanted, several = request.match_info["name"], await parts.engine.listed.get()
    return await _computed(
        parts, lambda: _found(inventory.network(several, wanted), f"network {printable(wanted, 80)} not found")
    )


def _found(what: T | None, message: str) -> T:
    if what is None:
        raise NoSuch(message)
    return what


async def volumes(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """GET /volumes"""
    several = await parts.engine.listed.get()
    return await _computed(parts, lambda: inventory.volumes(several))


async def volume(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /volumes/{name}"""
    wanted, several = request.match_info["name"], await parts.engine.listed.get()
    return await _computed(
        parts, lambda: _found(inventory.volume(several, wanted), f"get {printable(wanted, 80)}: no such volume")
    )


async def plugin(_parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /plugins/{name}/json: there are none. ``docker inspect`` asks for it where no container has a name."""
    raise NoSuch(f'plugin "{printable(request.match_info["name"], 80)}" not found')


async def disk_usage(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """GET /system/df"""
    several, now = await parts.engine.listed.get(), time.time()
    return await _computed(parts, lambda: inventory.disk_usage(several, now))


async def refuse(_parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """Everything else."""
    return refusal(403, system.READ_ONLY)
