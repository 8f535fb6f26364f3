"""The Engine API, read-only: what monitors ask Docker, answered without an engine.

Each path is there with a version prefix (``/v1.45``) and without. What is not in the table is refused with 403.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from ...basics.text import is_number, printable
from ...feed.answer_bodies import Body
from ...outputs.engine import container_filters, containers, inventory, processes, system
from ...outputs.engine.filters import BadFilter, parse_filters
from ...outputs.shown_labels import encode_with_labels
from ..parts import EngineParts
from ..server.one_body import NoRoom
from .engine_answer import EngineAnswer, EngineRequest, NoSuch, refusal

T = TypeVar("T")


def engine_answer(parts: EngineParts, what: Any) -> EngineAnswer:
    """As JSON, in the budget of all answers. Raises NoRoom."""
    _make_room(parts)
    return EngineAnswer(parts.bodies.hold(encode_with_labels(what) + b"\n"))


async def _computed(parts: EngineParts, make: Callable[[], Any]) -> EngineAnswer:
    """The same of what ``make`` returns, computed beside the event loop: it grows with the containers, and with what a
    client has written. Raises NoRoom, and what ``make`` raises."""
    _make_room(parts)
    made = await parts.engine.answers.run(lambda: encode_with_labels(make()) + b"\n")
    return EngineAnswer(parts.bodies.hold(made))


def _make_room(parts: EngineParts) -> None:
    if not parts.bodies.admit(0):
        raise NoRoom


def is_on(text: str | None, default: bool = False) -> bool:
    """A switch as Docker takes it: everything but these words is on."""
    if text is None:
        return default
    return text.strip().lower() not in ("", "0", "no", "false", "none")


async def ping(_parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """GET /_ping"""
    return EngineAnswer(Body([b"OK"]), content_type="text/plain; charset=utf-8")


async def version(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """GET /version"""
    return engine_answer(parts, system.version(await parts.engine.host.get()))


async def info(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """GET /info"""
    engine = parts.engine
    host, several = await engine.host.get(), await engine.listed.get()
    return await _computed(parts, lambda: system.info(host, several))


async def listing(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /containers/json"""
    query = asked.query
    filters = parse_filters(query.get("filters"), container_filters.FILTERS)
    limit = query.get("limit") or "0"
    if limit != "-1" and not is_number(limit, 9):
        raise BadFilter(f"invalid limit {printable(limit, 40)!r}")
    everything, several, now = is_on(query.get("all")), await parts.engine.listed.get(), time.time()

    def make() -> list[dict[str, Any]]:
        chosen = container_filters.chosen(several, filters, everything=everything, limit=int(limit))
        return [containers.summary(each, now) for each in chosen]

    return await _computed(parts, make)


async def inspect(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /containers/{container}/json"""
    return engine_answer(parts, containers.inspected(await parts.engine.one(asked.container)))


async def top(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /containers/{container}/top"""
    engine = parts.engine
    found, host = await engine.processes(asked.container), await engine.host.get()
    ps_args = asked.query.get("ps_args", "")
    return engine_answer(parts, processes.top(found, time.time(), ps_args, host.memory_bytes))


async def images(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """GET /images/json"""
    several = await parts.engine.listed.get()
    return await _computed(parts, lambda: inventory.images(several))


async def networks(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """GET /networks"""
    several = await parts.engine.listed.get()
    return await _computed(parts, lambda: inventory.networks(several))


async def image(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /images/{name}/json"""
    wanted, several = asked.named["name"], await parts.engine.listed.get()
    return await _computed(
        parts,
        lambda: _found(inventory.image(several, wanted), f"No such image: {inventory.tagged(printable(wanted, 80))}"),
    )


async def network(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /networks/{name}"""
    wanted, several = asked.named["name"], await parts.engine.listed.get()
    return await _computed(
        parts, lambda: _found(inventory.network(several, wanted), f"network {printable(wanted, 80)} not found")
    )


def _found(what: T | None, message: str) -> T:
    if what is None:
        raise NoSuch(message)
    return what


async def volumes(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """GET /volumes"""
    several = await parts.engine.listed.get()
    return await _computed(parts, lambda: inventory.volumes(several))


async def volume(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /volumes/{name}"""
    wanted, several = asked.named["name"], await parts.engine.listed.get()
    return await _computed(
        parts, lambda: _found(inventory.volume(several, wanted), f"get {printable(wanted, 80)}: no such volume")
    )


async def plugin(_parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /plugins/{name}/json: there are none. ``docker inspect`` asks for it where no container has a name."""
    raise NoSuch(f'plugin "{printable(asked.named["name"], 80)}" not found')


async def disk_usage(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """GET /system/df"""
    several, now = await parts.engine.listed.get(), time.time()
    return await _computed(parts, lambda: inventory.disk_usage(several, now))


async def refuse(_parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """Everything else."""
    return refusal(403, system.READ_ONLY)
