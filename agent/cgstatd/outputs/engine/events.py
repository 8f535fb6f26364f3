"""GET /events: one JSON object a line, of containers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from ...basics.text import is_number, printable
from ...host.identity import Identity
from ...sampling.lived import UNSEEN
from ..shown_labels import encode_with_labels
from .containers import UNKNOWN_CODE, Listed
from .filters import BadFilter, Filters, begins_with, has_labels
from .names import id_of, labels

FILTERS = frozenset(
    "config container daemon event image label network node plugin scope secret service type volume".split()
)
_SHORTEST_PREFIX = 4
_ASKED_OF_ATTRIBUTES = frozenset(("container", "image", "label"))
_OTHERS = frozenset("config daemon network node plugin secret service volume".split())


class Event(NamedTuple):
    """Something that happened to a container."""

    time_ns: int
    """Wall clock."""
    action: str
    id: str
    line: bytes
    """As it is sent. A thousand of them are kept: what filters ask for beside is taken out of it."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """``name``, ``image``, what belongs to this action (``exitCode``), and the labels, all as one."""
        return _decode(self.line).Actor.Attributes


class _Actor(msgspec.Struct):
    Attributes: dict[str, str]


class _Line(msgspec.Struct):
    Actor: _Actor


_decode = msgspec.json.Decoder(_Line).decode


def event(action: str, identity: Identity, time_ns: int, **more: str) -> Event:
    """One event; ``more``: further attributes."""
    found = identity.metadata
    image = printable((found.image or found.image_id or "") if found else "")
    key = id_of(identity)
    attributes = labels(identity, **more, image=image, name=identity.name)
    line = {
        "status": action,
        "id": key,
        "from": image,
        "Type": "container",
        "Action": action,
        "Actor": {"ID": key, "Attributes": attributes},
        "scope": "local",
        "time": time_ns // 1_000_000_000,
        "timeNano": time_ns,
    }
    return Event(time_ns, action, key, encode_with_labels(line) + b"\n")


def ended(
    identity: Identity,
    exit_code: int | None,
    started: float | None,
    finished: float | None,
    now_ns: int,
    after_ns: int = 0,
    absent: str | None = None,
) -> Event:
    """A ``die``. ``finished``: as its runtime wrote it; None: ``now_ns``. ``absent``: why there is no exit code.

    Of the shortest lives Docker writes an end before the start: they ended when they had started. ``after_ns``: when
    something was told that comes before it.
    """
    time_ns = now_ns if finished is None else nanoseconds(finished if started is None else max(finished, started))
    time_ns = max(time_ns, after_ns)
    more = {"exitCode": str(UNKNOWN_CODE if exit_code is None else exit_code)}
    if exit_code is None:
        more["error"] = printable(f"the exit code is not known: {absent or UNSEEN}", 400)
    if started is not None:
        more["execDuration"] = str(max(0, int(time_ns / 1e9 - started)))
    return event("die", identity, time_ns, **more)


class Recorded(NamedTuple):
    """What a runtime's state says of the past."""

    event: Event
    started_ns: int | None
    """Wall clock: when the container's last life began."""


def recorded(several: Iterable[Listed]) -> Iterator[Recorded]:
    """When each container was made, and its last start and end."""
    for each in several:
        found = each.identity.metadata
        if found is None:
            continue
        started = None if found.started_seconds is None else nanoseconds(found.started_seconds)
        if found.created_seconds is not None:
            yield Recorded(event("create", each.identity, nanoseconds(found.created_seconds)), started)
        if started is not None:
            yield Recorded(event("start", each.identity, started), started)
        if found.finished_seconds is not None and not each.running:
            end = ended(
                each.identity,
                found.exit_code,
                found.started_seconds,
                found.finished_seconds,
                0,
                absent=each.absent,
            )
            yield Recorded(end, started)


def nanoseconds(seconds: float) -> int:
    """Of a time that a runtime wrote: to the microsecond."""
    return int(seconds * 1_000_000) * 1000


def parse_time(text: str | None) -> int | None:
    """``since`` and ``until`` as clients send them: seconds since the epoch, with a fraction. Raises BadFilter."""
    if not text:
        return None
    whole, _, rest = text.partition(".")
    if not is_number(whole, 12) or (rest and not is_number(rest, 9)):
        raise BadFilter(f"invalid time {printable(text, 40)!r}: expected seconds since the epoch")
    return int(whole) * 1_000_000_000 + int(rest.ljust(9, "0") or 0)


Fits = Callable[[Event], bool]


def wanted(filters: Filters) -> Fits:
    """Whether a client wants to be told of an event."""
    asked = {name: values for name, values in filters.items() if values}
    if (
        not _OTHERS.isdisjoint(asked)
        or "container" not in asked.get("type", ("container",))
        or "local" not in asked.get("scope", ("local",))
    ):
        return lambda _: False
    actions = asked.get("event")
    attributes_fit = None if _ASKED_OF_ATTRIBUTES.isdisjoint(asked) else _attributes_fit(asked)
    return lambda each: (
        (actions is None or not actions.isdisjoint((each.action, each.action.partition(":")[0])))
        and (attributes_fit is None or attributes_fit(each))
    )


def _attributes_fit(asked: Filters) -> Fits:
    containers, images = asked.get("container"), asked.get("image")
    names = frozenset(each.removeprefix("/") for each in containers or ())
    begins = begins_with(containers or (), _SHORTEST_PREFIX)
    labelled = has_labels(asked["label"]) if "label" in asked else None

    def fits(each: Event) -> bool:
        known = containers is not None and begins(each.id)
        if containers is not None and not known and not names:
            return False
        found = each.attributes
        image = found["image"]
        return (
            (containers is None or known or found["name"] in names)
            and (images is None or image in images or image.partition(":")[0] in images)
            and (labelled is None or labelled(found))
        )

    return fits
