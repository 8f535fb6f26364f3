"""The parameters of GET /containers/json: which containers a client wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...basics.text import is_number, printable
from ...host.runtimes.base import Metadata
from .containers import Listed, created, exit_code, metadata_of, network_mode
from .filters import BadFilter, Filters, any_of, labels_fit
from .names import id_of, image_id_of, labels

FILTERS = frozenset(
    "ancestor before exited expose health id isolation is-task label name network publish since status volume".split()
)
_UNHELD = ("volume", "isolation", "is-task")
"""What the agent does not know of any container; to ask for it finds none."""
_STATES = frozenset("created running paused restarting removing exited dead".split())


def chosen(several: Sequence[Listed], filters: Filters, *, everything: bool, limit: int) -> list[Listed]:
    """The containers that a request asks for, the latest first. Raises BadFilter."""
    _check(filters)
    ordered = sorted(several, key=lambda each: -(created(each) or 0.0))
    everything = everything or limit > 0 or "status" in filters or "exited" in filters
    if not everything:
        ordered = [each for each in ordered if each.status in ("running", "paused", "restarting")]
    borders = {key: _border(filters, key, ordered) for key in ("before", "since") if filters.get(key)}
    found = [each for each in ordered if _fits(each, filters) and _between(each, borders)]
    return found[:limit] if limit > 0 else found


def _check(filters: Filters) -> None:
    for name, known in (("status", _STATES), ("health", frozenset({"starting", "healthy", "unhealthy", "none"}))):
        for value in filters.get(name, ()):
            if value not in known:
                raise BadFilter(f"invalid filter '{name}={printable(value, 40)}'")
    for value in filters.get("exited", ()):
        if not is_number(value, 3):
            raise BadFilter(f"invalid filter 'exited={printable(value, 40)}'")


def _border(filters: Filters, key: str, several: Sequence[Listed]) -> float:
    wanted = filters[key][0]
    for each in several:
        if _is(each, wanted):
            return created(each) or 0.0
    raise BadFilter(f"No such container: {printable(wanted, 80)}")


def _is(each: Listed, wanted: str) -> bool:
    return each.identity.name == wanted.removeprefix("/") or (bool(wanted) and id_of(each.identity).startswith(wanted))


def _between(each: Listed, borders: Mapping[str, float]) -> bool:
    made = created(each) or 0.0
    return made < borders.get("before", float("inf")) and made > borders.get("since", float("-inf"))


def _fits(each: Listed, filters: Filters) -> bool:
    if not filters:
        return True
    identity, found = each.identity, metadata_of(each.identity)
    tests = {
        "id": lambda value: id_of(identity).startswith(value),
        "name": lambda value: _is_name(identity.name, value),
        "status": lambda value: value == each.status,
        "health": lambda value: value == (each.health.status if each.health else "none"),
        "exited": lambda value: not each.running and each.status != "created" and exit_code(each) == int(value),
        "ancestor": lambda value: _is_image(found, value),
        "network": lambda value: (
            any(value in (e.network, e.network_id) for e in found.endpoints) or value == network_mode(found)
        ),
        "publish": lambda value: any(_is_port(port.host_number, port.protocol, value) for port in found.ports),
        "expose": lambda value: any(_is_port(port.number, port.protocol, value) for port in found.ports),
    }
    if any(filters.get(name) for name in _UNHELD):
        return False
    return labels_fit(filters, labels(identity)) and all(any_of(filters, name, fits) for name, fits in tests.items())


def _is_name(name: str, wanted: str) -> bool:
    """A part of the name; ``^`` and ``$`` are its ends. No other expression: a client's would be run on every name."""
    part = wanted.removeprefix("^").removeprefix("/").removesuffix("$")
    at_start, at_end = wanted.startswith("^"), wanted.endswith("$")
    if at_start and at_end:
        return name == part
    return name.startswith(part) if at_start else name.endswith(part) if at_end else part in name


def _is_image(found: Metadata, wanted: str) -> bool:
    own = (found.image or "").removesuffix(":latest")
    image_id = image_id_of(found)
    return wanted.removesuffix(":latest") == own or (
        len(wanted) > 3 and image_id.removeprefix("sha256:").startswith(wanted.removeprefix("sha256:"))
    )


def _is_port(number: int, protocol: str, wanted: str) -> bool:
    port, _, kind = wanted.partition("/")
    return bool(number) and port == str(number) and kind in ("", protocol)
