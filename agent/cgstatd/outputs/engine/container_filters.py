"""The parameters of GET /containers/json: which containers a client wants.

A container's own words are looked up among a request's, each once. Parts of names are looked for in all names as one
text, each part once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

from ...basics.text import is_number, printable
from ...host.runtimes.base import Metadata, Port
from .containers import Listed, created, exit_code, metadata_of, network_mode
from .filters import BadFilter, Filters, Unanswerable, begins_with, has_labels
from .names import id_of, image_id_of, labels

FILTERS = frozenset(
    "ancestor before exited expose health id isolation is-task label name network publish since status volume".split()
)
_UNHELD = ("isolation", "is-task")
"""What the agent does not know of any container."""
_STATES = frozenset("created running paused restarting removing exited dead".split())
_HEALTH = frozenset({"starting", "healthy", "unhealthy", "none"})
_SHORTEST_IMAGE_ID = 4
Test = Callable[[Listed, Metadata], bool]


def chosen(several: Sequence[Listed], filters: Filters, *, everything: bool, limit: int) -> list[Listed]:
    """The containers that a request asks for, the latest first. Raises BadFilter."""
    _check(filters)
    ordered = sorted(several, key=lambda each: -(created(each) or 0.0))
    tests = [make(values) for name, make in _TESTS.items() if (values := filters.get(name))]
    if filters.get("name"):
        tests.insert(0, _name(filters["name"], ordered))
    tests += [_border(key, filters[key], ordered) for key in ("before", "since") if filters.get(key)]
    everything = everything or limit > 0 or "status" in filters or "exited" in filters
    if not everything:
        ordered = [each for each in ordered if each.status in ("running", "paused", "restarting")]
    found = [each for each in ordered if _fits(each, tests)]
    return found[:limit] if limit > 0 else found


def _check(filters: Filters) -> None:
    for name, known in (("status", _STATES), ("health", _HEALTH)):
        for value in filters.get(name, frozenset()) - known:
            raise BadFilter(f"invalid filter '{name}={printable(value, 40)}'")
    for name in _UNHELD:
        if filters.get(name):
            raise Unanswerable(f"the filter '{name}' cannot be answered: cgstatd does not know it of a container")
    if any(value.startswith("/") for value in filters.get("volume", ())):
        raise Unanswerable("the filter 'volume' takes names alone: cgstatd does not tell what is mounted where")
    for value in filters.get("exited", ()):
        if not is_number(value, 3):
            raise BadFilter(f"invalid filter 'exited={printable(value, 40)}'")


def _fits(each: Listed, tests: Iterable[Test]) -> bool:
    found = metadata_of(each.identity) if tests else None
    return found is None or all(test(each, found) for test in tests)


def _border(key: str, values: AbstractSet[str], several: Sequence[Listed]) -> Test:
    if len(values) > 1:
        raise BadFilter(f"invalid filter '{key}': it takes one container")
    wanted = next(iter(values))
    border = _made(_one(wanted, several))
    return lambda each, _: _made(each) < border if key == "before" else _made(each) > border


def _one(wanted: str, several: Sequence[Listed]) -> Listed:
    name = wanted.removeprefix("/")
    for each in several:
        if each.identity.name == name or (wanted and id_of(each.identity).startswith(wanted)):
            return each
    raise BadFilter(f"No such container: {printable(wanted, 80)}")


def _made(each: Listed) -> float:
    return created(each) or 0.0


def _id(values: AbstractSet[str]) -> Test:
    begins = begins_with(values)
    return lambda each, _: begins(id_of(each.identity))


def _name(values: AbstractSet[str], several: Iterable[Listed]) -> Test:
    """A part of the name; ``^`` and ``$`` are its ends. No other expression: a client's would be run on every name."""
    whole, starts, ends, parts = set[str](), set[str](), set[str](), set[str]()
    for wanted in values:
        part = wanted.removeprefix("^").removeprefix("/").removesuffix("$")
        at_start, at_end = wanted.startswith("^"), wanted.endswith("$")
        (whole if at_start and at_end else starts if at_start else ends if at_end else parts).add(part)
    begins, ending = begins_with(starts), tuple(ends)
    having = _with_a_part((each.identity.name for each in several), parts) if parts else frozenset[str]()

    def fits(each: Listed, _found: Metadata) -> bool:
        name = each.identity.name
        return name in whole or name in having or begins(name) or name.endswith(ending)

    return fits


def _with_a_part(names: Iterable[str], parts: Iterable[str]) -> AbstractSet[str]:
    """The names that have one of these in them. A name that was found is not looked into again."""
    left, found = dict.fromkeys(names), set[str]()
    text = _text(left)
    for part in parts:
        at = -1 if "\n" in part else text.find(part, 1)
        before = len(found)
        while 0 <= at < len(text) - 1:
            start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            found.add(text[start:end])
            at = text.find(part, end + 1)
        if len(found) > before:
            left = dict.fromkeys(each for each in left if each not in found)
            text = _text(left)
    return found


def _text(names: Iterable[str]) -> str:
    """Lines: no name has the end of one in it."""
    return "".join(f"\n{each}" for each in names) + "\n"


def _health(values: AbstractSet[str]) -> Test:
    def fits(each: Listed, _: Metadata) -> bool:
        if each.health is None:
            return "none" in values
        if each.health.status is None and values != {"none"}:
            name, why = each.identity.name, each.health.absent
            raise Unanswerable(f"the filter 'health' cannot be answered: that of {name} is not known ({why})")
        return each.health.status in values

    return fits


def _exited(values: AbstractSet[str]) -> Test:
    codes = frozenset(map(int, values))
    return lambda each, _: not each.running and each.status != "created" and exit_code(each) in codes


def _ancestor(values: AbstractSet[str]) -> Test:
    images = frozenset(each.removesuffix(":latest") for each in values)
    begins = begins_with((each.removeprefix("sha256:") for each in values), _SHORTEST_IMAGE_ID)

    def fits(_: Listed, found: Metadata) -> bool:
        return (found.image or "").removesuffix(":latest") in images or begins(
            image_id_of(found).removeprefix("sha256:")
        )

    return fits


def _network(values: AbstractSet[str]) -> Test:
    def fits(_: Listed, found: Metadata) -> bool:
        return network_mode(found) in values or any(
            not values.isdisjoint((each.network, each.network_id)) for each in found.endpoints
        )

    return fits


def _volume(values: AbstractSet[str]) -> Test:
    return lambda _, found: any(each.name in values for each in found.configured.volumes)


def _port(number: Callable[[Port], int | None]) -> Callable[[AbstractSet[str]], Test]:
    """A test of the ports; ``number``: the one that is compared."""

    def make(values: AbstractSet[str]) -> Test:
        wanted = _ports(values)
        return lambda _, found: any(
            (number(port), kind) in wanted for port in found.ports for kind in (port.protocol, "")
        )

    return make


def _ports(values: Iterable[str]) -> frozenset[tuple[int, str]]:
    """Number and protocol, which is empty where any will do. 0 is no port: it is not published."""
    several = (each.partition("/") for each in values)
    return frozenset((int(port), kind) for port, _, kind in several if is_number(port, 5) and int(port))


def _label(values: AbstractSet[str]) -> Test:
    fits = has_labels(values)
    return lambda each, _: fits(labels(each.identity))


_TESTS: dict[str, Callable[[AbstractSet[str]], Test]] = {
    "id": _id,
    "status": lambda values: lambda each, _: each.status in values,
    "exited": _exited,
    "ancestor": _ancestor,
    "network": _network,
    "volume": _volume,
    "publish": _port(lambda port: port.host_number),
    "expose": _port(lambda port: port.number),
    "label": _label,
    "health": _health,
}
"""By the filter's name, the cheapest first; but of those alone that fit all others it matters whether their health is
known."""
