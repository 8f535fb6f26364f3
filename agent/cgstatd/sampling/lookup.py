"""From what a client wrote to a container: full id, exact name, unique prefix of an id, in Docker's order.

``runtime:name`` picks one of several runtimes. Containers of the system come first; those of users are looked at only
when no system container fits, so that a user's container never shadows one of the system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..basics.text import printable
from ..host.identity import short
from ..host.runtimes.base import Metadata, State
from .container import Container


class NotFound(Exception):
    """No container fits."""


class Ambiguous(Exception):
    """Several containers fit; the text names them."""


@dataclass(frozen=True, slots=True)
class Known:
    """A container that can be asked for: one with a cgroup, or one that is on disk only."""

    id: str
    name: str
    runtime: str
    owner_uid: int
    target: Container | Metadata

    @property
    def metadata(self) -> Metadata | None:
        """What its runtime says of it."""
        return self.target if isinstance(self.target, Metadata) else self.target.identity.metadata

    @property
    def state(self) -> State:
        """What its runtime says of its state."""
        return self.metadata.state if self.metadata else State.UNKNOWN


def running(container: Container) -> Known:
    """A container with a cgroup."""
    identity = container.identity
    return Known(identity.id, identity.name, identity.runtime, identity.owner_uid, container)


def on_disk(metadata: Metadata) -> Known:
    """A container that is stopped."""
    shown = metadata.shown_id or metadata.id
    return Known(shown, printable(metadata.name) or short(shown), metadata.runtime, metadata.owner_uid, metadata)


def merge(live: Sequence[Container], stopped: Iterable[Metadata]) -> list[Known]:
    """Everything known. A container that has a cgroup is not listed a second time.

    Only its owner's counts as the same: a user's cgroup with the id of a stopped container of the system is another
    container.
    """
    known = [running(container) for container in live]
    seen = {(k.owner_uid, k.runtime, k.id) for k in known}
    return known + [k for k in map(on_disk, stopped) if (k.owner_uid, k.runtime, k.id) not in seen]


def resolve(wanted: str, known: Sequence[Known]) -> Known:
    """The container that ``wanted`` means. Raises NotFound, Ambiguous."""
    fits = candidates(wanted, known)
    if not fits:
        raise NotFound(wanted)
    if len(fits) > 1:
        several = ", ".join(f"{k.runtime}:{k.name} ({short(k.id)})" for k in fits[:10])
        raise Ambiguous(f"{wanted} fits {several}{', …' if len(fits) > 10 else ''}")
    return fits[0]


def candidates(wanted: str, known: Sequence[Known]) -> list[Known]:
    """The containers of the first rank that has any. Several of one rank make ``wanted`` ambiguous."""
    for group in ([k for k in known if not k.owner_uid], [k for k in known if k.owner_uid]):
        found = _among(wanted, group)
        if not found and ":" in wanted:
            runtime, _, rest = wanted.partition(":")
            found = _among(rest, [k for k in group if k.runtime == runtime])
        if found:
            return found
    return []


def doubled(known: Iterable[Known]) -> list[Known]:
    """Those that share a name with another container of the same owner and runtime: one of them no longer has it."""
    names: dict[tuple[int, str, str], list[Known]] = {}
    for each in known:
        names.setdefault((each.owner_uid, each.runtime, each.name), []).append(each)
    return [each for several in names.values() if len(several) > 1 for each in several]


def _among(wanted: str, group: Sequence[Known]) -> list[Known]:
    tests: tuple[Callable[[Known], bool], ...] = (
        lambda k: k.id == wanted,
        lambda k: k.name == wanted,
        lambda k: k.id.startswith(wanted),
    )
    for test in tests if wanted else ():
        fits = [k for k in group if test(k)]
        if fits:
            return fits
    return []
