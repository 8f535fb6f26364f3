"""Who a container cgroup is: its runtime's metadata joined to it, under the rules of trust.

Only root can have made a cgroup that gets metadata of the system's runtimes. A cgroup below a directory of an
unprivileged user belongs to that user, gets names only from that user's own files, and never takes the id of a system
container. Where no name can be had the log says why, once, and the container is shown under its short id.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from cgroupfs import Root
from cgroupfs.hangs import StillHangs

from ..basics.file_look import SETTLED_NS, FileLook, is_same, look
from ..basics.text import printable
from .discovery import CgroupRef
from .runtimes import NAMED
from .runtimes.base import (
    Health,
    KeepsLogs,
    LogsHealth,
    LogSize,
    Metadata,
    MetadataSource,
    RecordsEnds,
    Unreadable,
    is_hex_id,
)
from .runtimes.containerd import RUNTIME as CONTAINERD
from .user_sources import Users

log = logging.getLogger(__name__)
SHORT_ID = 12
LABELS_LEFT_OUT = "has more labels than are kept: some are left out (those of metric_labels never are)"
_LOOK_SECONDS = 1.0


class Identity(NamedTuple):
    """Who a container is, as the answers show it."""

    id: str
    name: str
    runtime: str
    owner_uid: int
    """0: the system's; else the user that it belongs to."""
    metadata: Metadata | None


def short(container_id: str) -> str:
    """The id as people know it: the first 12 of 64 digits; other ids whole."""
    return container_id[:SHORT_ID] if is_hex_id(container_id) else container_id


Looks = dict[str, FileLook | None]
"""By place (real path); None: it is not there, or cannot be read."""


class Names:
    """Metadata sources of the system and of the users that own containers. Two threads may be at two containers."""

    def __init__(
        self,
        system: Sequence[MetadataSource],
        rootless: Callable[[int], Sequence[MetadataSource]],
        more: Callable[[], Sequence[MetadataSource]] = lambda: (),
        root: Root | None = None,
        want: Callable[[Sequence[str]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``rootless`` gives the sources of one uid; ``more`` is asked for further system sources (a data root that a
        running engine was given) when no source knows a container; ``want`` takes the labels that are always kept."""
        self._clock = clock
        self.want = want
        self._root = root or Root()
        self._system = list(system)
        self._more = more
        self._users = Users(rootless)
        self._said: set[int] = set()
        """Hashes: ids and paths are input, and long."""
        self._generation = 0
        self._looked = float("-inf")
        self._looks: Looks = {}
        self._unsettled: set[str] = set()
        """Places of the system's to look at again soon. Those of users wait for the next second: to change them costs
        a user nothing."""

    def sources(self, uid: int) -> Sequence[MetadataSource]:
        """The sources of the system (0) or of one user."""
        if not uid:
            return self._system
        known = uid in self._users
        found = self._users.sources(uid)
        if not known:  # before they are asked: what is written later is news
            self._looks.update(self._looks_at(found))
        return found

    def folders(self) -> set[str]:
        """The directories (host paths) of the system's runtimes in which a removal shows."""
        return {source.places[0] for source in self._system if source.places}

    def generation(self) -> int:
        """Counts up when a source may know more than before: one of its places changed. Looked at once a second, those
        of very many users in turn."""
        now = self._clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            for place in self._places(self._users.forget()):
                self._looks.pop(place, None)
            system = self._look_at(self._system)
            self._look_at(self._users.next())
            self._unsettled = {place for place, seen in system.items() if seen and seen.unsettled_ns}
        elif self._unsettled and now - self._looked >= SETTLED_NS / 1e9:
            self._look_at(self._system, self._unsettled)
            self._unsettled = set()
        return self._generation

    def _look_at(self, sources: Iterable[MetadataSource], only: Container[str] | None = None) -> Looks:
        """Their places, or ``only`` some of them; counts up if one changed."""
        found = self._looks_at(sources, only)
        if any(not is_same(self._looks.get(place), seen) for place, seen in found.items()):
            self._generation += 1
        self._looks.update(found)
        return found

    def _places(self, sources: Iterable[MetadataSource]) -> set[str]:
        return {self._root.join(place) for source in sources for place in source.places}

    def _looks_at(self, sources: Iterable[MetadataSource], only: Container[str] | None = None) -> Looks:
        return {place: self._stat(place) for place in self._places(sources) if only is None or place in only}

    def _stat(self, path: str) -> FileLook | None:
        try:
            with self._root.readers.of(path):
                return look(os.stat(path), self._root.clock().time_ms * 1_000_000)
        except StillHangs:
            return self._looks.get(path)
        except OSError:
            return None

    def identify(self, ref: CgroupRef) -> Identity:
        """The identity to show for a cgroup."""
        owner = ref.owner_uid
        found = self._metadata(ref, ref.parent_owner_uid)
        if found is not None and ref.parent_owner_uid == 0:
            owner = 0  # a root-owned file says that the runtime itself gave the container its own cgroup (userns)
        elif found is None and owner != ref.parent_owner_uid:
            found = self._metadata(ref, owner)
        if found is None:
            return self.nameless(ref)
        shown = found.shown_id or ref.match.id
        if found.labels_left_out:
            self.say_once(ref.match.id, LABELS_LEFT_OUT)
        return Identity(printable(shown), printable(found.name) or short(shown), found.runtime, owner, found)

    @staticmethod
    def nameless(ref: CgroupRef) -> Identity:
        """The identity to show where no runtime knows more."""
        shown = ref.match.id
        return Identity(printable(shown), printable(short(shown)), ref.match.runtime, ref.owner_uid, None)

    def again(self, metadata: Metadata) -> Metadata | None:
        """What its runtime's state says now of a container that was on disk; None: it is no longer there."""
        for source in self.sources(metadata.owner_uid):
            if source.runtime == metadata.runtime and isinstance(found := source.get(metadata.id), Metadata):
                return found
        return None

    def _metadata(self, ref: CgroupRef, uid: int) -> Metadata | None:
        found = self._look_up(ref, self.sources(uid))
        # Another runtime's unreadable state says nothing about an engine that came up meanwhile.
        if not isinstance(found, Metadata) and uid == 0 and (more := self._more()):
            self._system.extend(more)
            found = self._look_up(ref, more) or found
        if isinstance(found, Unreadable):
            self._say_unreadable(ref.match.id, found)
            return None
        return found

    @staticmethod
    def _look_up(ref: CgroupRef, sources: Sequence[MetadataSource]) -> Metadata | Unreadable | None:
        unreadable: Unreadable | None = None
        for source in sorted(sources, key=lambda each: each.runtime != ref.match.runtime):
            found = source.get(ref.match.id)
            if isinstance(found, Metadata) and _plausible(found, ref):
                return found
            # Another runtime's unreadable state is no reason, unless the file is this container's own.
            if isinstance(found, Unreadable) and (source.runtime == ref.match.runtime or ref.match.id in found.path):
                unreadable = unreadable or found
        return unreadable

    def recorder(self, ref: CgroupRef) -> RecordsEnds | None:
        """The source that has this container's metadata, where its runtime records each end."""
        for uid in dict.fromkeys((ref.parent_owner_uid, ref.owner_uid)):
            for source in sorted(self.sources(uid), key=lambda each: each.runtime != ref.match.runtime):
                found = source.get(ref.match.id)
                if isinstance(found, Metadata) and _plausible(found, ref):
                    return source if isinstance(source, RecordsEnds) else None
        return None

    def log_size(self, metadata: Metadata) -> LogSize | Unreadable | None:
        """Of a container's log; None: its runtime keeps none in a file of its own. No content is read."""
        for source in self.sources(metadata.owner_uid):
            if source.runtime == metadata.runtime and isinstance(source, KeepsLogs):
                found = source.log_size(metadata.id)
                if found is not None:
                    return found
        return None

    def health(self, metadata: Metadata, log: str) -> Health | Unreadable | None:
        """What the file says that a container's runtime writes after each probe; None: it is not there."""
        for source in self.sources(metadata.owner_uid):
            if source.runtime == metadata.runtime and isinstance(source, LogsHealth):
                found = source.health(log)
                if found is not None:
                    return found
        return None

    def _say_unreadable(self, container_id: str, found: Unreadable) -> None:
        """A missing right concerns all containers in the same place: one line for all of them."""
        if not found.right:
            self.say_once(container_id, f"{found.reason} ({found.path}): shown by its short id")
            return
        place = found.path.partition(container_id)[0].rstrip("/")
        if self._new("", place):
            log.warning("%s: %s: its containers are shown by their short ids", printable(place), found.reason)

    def say_missing(self, ref: CgroupRef) -> None:
        """Log, once for each runtime, that no state of a container of the system's is found, and what to do."""
        if ref.parent_owner_uid or self._look_up(ref, self._system) is not None:
            return
        runtime = ref.match.runtime
        if self._new(runtime, "missing"):
            advice = _ADVICE.get(runtime, "is it where this agent looks for it?")
            log.warning(
                "runtime=%s no state of its containers is found, they are shown by short ids: %s", runtime, advice
            )

    def say_once(self, container_id: str, what: str) -> None:
        """Log a container's failure, each once."""
        if self._new(container_id, what):
            log.warning("container=%s %s", printable(short(container_id), 80), what)

    def _new(self, subject: str, what: str) -> bool:
        key = hash((subject, what))
        if key in self._said:
            return False
        if len(self._said) > 10_000:  # ids are input, so this is bounded, even if a line is said again
            self._said.clear()
        self._said.add(key)
        return True

    def on_disk(self) -> Iterator[Metadata]:
        """Every container that the known sources have on disk, running or not."""
        for source in [*self._system, *self._users.all()]:
            yield from source.all()


def left_behind(identity: Identity) -> bool:
    """Whether a cgroup without a process is no container's.

    It is a directory that a dead engine left (no state knows its id), or a task of containerd that has ended and is not
    deleted yet (``ctr run -d``).
    """
    if identity.metadata is None:
        return is_hex_id(identity.id) is not None
    return identity.metadata.runtime == CONTAINERD


_ADVICE = {
    "docker": "if Docker has a data root of its own, name it with --docker-root",
    "podman": "if Podman has a storage root of its own, name it with --podman-root",
}


def _plausible(metadata: Metadata, ref: CgroupRef) -> bool:
    guess = ref.match.runtime
    return metadata.runtime == guess or (guess not in NAMED and metadata.runtime not in NAMED)
