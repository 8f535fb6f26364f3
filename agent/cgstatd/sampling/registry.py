"""The containers that there are: discovery's cgroups, each kept and named, and each id shown once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from cgroupfs import Descriptors, Exhausted, Hierarchy, Root
from cgroupfs.hangs import still_wanted
from cgroupfs.pseudofs import EXHAUSTED

from ..basics.file_look import SETTLED_NS
from ..host.discovery import CgroupRef, Discovery
from ..host.identity import Names
from ..host.starting import behind, living, promised_limit
from ..host.state_changes import StateWatch
from .container import Container, ReadingFailed, Shared
from .lived import recorded_end

LISTING_SECONDS = 10.0
_IDENTITY_NS = 4_000_000_000
"""A container's identity is looked up again after this time, even if no event tells of its state files."""
_STARTING_NS = 100_000_000
"""The same, doubled each time, where its engine has not yet written that it runs."""
_SETTLED_NS = SETTLED_NS * 3 // 2
"""The same once after a change: what is read at once may not be settled."""
_NAMELESS_NS = tuple(seconds * 1_000_000_000 for seconds in (1, 8, 30, 300))
"""The same where no name was found and no place of names changed: the runtime may write its files late."""
_VAIN_LOOKUPS = 6
"""After so many only time counts: a user can change the places where names come from as often as they like."""
_SAID_AFTER = 2
"""After so many lookups in vain the log says that a container's state is not found."""
_VAIN = 10
"""After so many changes of state files that told nothing new (health checks), they count as news less and less
often."""
_QUIET_SECONDS = 3.2


class ListingFailed(Exception):
    """The containers could not be listed; the text says why."""


class OutOfResources(ListingFailed):
    """The agent itself has no descriptor or memory left: containers that it does not see may well be there."""


class ListingUnderWay(ListingFailed):
    """Another thread is listing the containers, and takes long or hangs."""


class Registry:
    """The containers of one host. It lets one thread in at a time.

    State files are read without its lock, each container's by one thread at a time: an engine's file that hangs costs
    that container's name. A thread that it held up ends its work (:class:`cgroupfs.hangs.LeftBehind`).
    """

    def __init__(
        self,
        root: Root,
        hierarchy: Hierarchy,
        discovery: Discovery,
        names: Names,
        descriptors: Descriptors,
        shared: Shared | None = None,
        states: StateWatch | None = None,
    ) -> None:
        self._root = root
        self._hierarchy = hierarchy
        self._discovery = discovery
        self._names = names
        self._descriptors = descriptors
        self._shared = shared
        self._states = states or StateWatch(root, follow=False)
        self._containers: dict[str, Container] = {}
        self._retired: list[Container] = []
        self._refs: dict[str, CgroupRef] | None = None
        self._shown: list[Container] = []
        self._lock = threading.Lock()
        self._told: set[Container] = set()
        """Containers whose state was written and has not been read yet: a thread that hangs meanwhile does not lose
        them."""
        self._news = False
        """Whether the containers that are shown are out of date."""
        self._generation = 0
        self._vain = 0
        """How many times in a row state files were written and told nothing new."""
        self._quiet_until = 0.0
        self.number = 0
        """How many listings were not the same as the one before: other containers, or other words about them."""
        self.written = 0
        """How often state files were found written: containers that are on disk only may have changed too."""
        self.came_or_went: Callable[[], None] = lambda: None
        """Called in the sampling thread by a listing that found other cgroups than the one before."""
        self.arrived: Callable[[list[Container]], None] = lambda several: None
        """Called in the sampling thread with the containers that such a listing found new; not by the first one."""

    def containers(self, hurry: bool = False) -> list[Container]:
        """The containers that have a cgroup now, those that belong to the system first. Raises ListingFailed.

        ``hurry``: also look at the state directories that no event tells of.
        """
        with self._only():
            self._descriptors.measure()
            refs = self._discovery.refresh()
            if refs is not self._refs:
                self._refs = refs
                self._news = True
                self._update(refs)
                self.came_or_went()
        with self._failures():
            self._name(time.monotonic_ns(), hurry)
        return self._show()

    def look_again(self, several: Iterable[Container]) -> bool:
        """Look at the state files of some containers now; whether they say anything else. Raises ListingFailed."""
        now = time.monotonic_ns()
        with self._failures():
            changed = [self._identify(each, now) for each in several if self._containers.get(each.ref.path) is each]
        self._show()
        return any(changed)

    @contextlib.contextmanager
    def _only(self) -> Iterator[None]:
        """Let one thread in at a time. Raises ListingUnderWay, and ListingFailed in place of errors that are raised
        inside."""
        if not self._lock.acquire(blocking=False):  # the thread that has it may hang: to wait would cost another thread
            raise ListingUnderWay(f"listing the containers takes over {LISTING_SECONDS:.0f} s")
        try:
            with self._failures():
                yield
        finally:
            self._lock.release()
            still_wanted()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Exhausted as error:
            raise OutOfResources(str(error)) from error
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise OutOfResources(f"cannot list the containers: {error.strerror}") from error
            raise ListingFailed(f"cannot list the containers: {error.filename or ''}: {error.strerror}") from error

    def _show(self) -> list[Container]:
        """The containers that are shown, made anew if any has changed."""
        if self._news:
            with self._failures():
                self._look_at_doubles()
            with self._only():
                self._news = False
                self.number += 1
                self._shown = self._without_doubles()
        return self._shown

    def changed_since(self, number: int) -> bool:
        """Whether containers have come, gone or changed since :attr:`number` was that; cheap, and from any thread."""
        if self.number != number or self._discovery.pending():
            return True
        return time.monotonic() >= self._quiet_until and self._states.pending()

    @property
    def news_fd(self) -> int | None:
        """Readable when cgroups have come or gone since the last listing; None: that is found by walking."""
        return self._discovery.news_fd

    def at(self, path: str) -> Container | None:
        """The container whose cgroup is at a path."""
        return self._containers.get(path)

    def _update(self, refs: dict[str, CgroupRef]) -> None:
        containers, first = self._containers, self.number == 0
        new = []
        for path in containers.keys() - refs.keys():
            self._retire(path)
        for path, ref in refs.items():
            known = containers.get(path)
            if known is not None and known.ref is not ref and known.ref != ref and not known.moved(ref):
                self._retire(path)
                known = None
            if known is None:
                identity = self._names.nameless(ref)
                known = Container(self._root, self._hierarchy, ref, identity, self._descriptors, self._shared)
                containers[path] = known
                known.since_ns = None if first else time.monotonic_ns()
                new.append(known)
        retired, self._retired = self._retired, []
        for gone in retired:
            gone.close(lambda gone=gone: self._retired.append(gone))  # type: ignore[misc]
        if new and not first:
            self.arrived(new)

    def _retire(self, path: str) -> None:
        gone = self._containers.pop(path)
        self._told.discard(gone)
        self._keep_in(gone, "")
        self._retired.append(gone)

    def _name(self, now: int, hurry: bool) -> None:
        """Look up again the identities that are due."""
        written = self._states.changed(now, hurry)
        generation = self._names.generation()
        if written or generation != self._generation:
            self._generation = generation
            self.written += 1
        several = list(self._containers.values())
        if written:
            self._told.update(each for each in several if each.kept_in in written)
        changed = False
        for container in several:
            told = container in self._told
            known = container.identity.metadata is not None or container.lookups >= _VAIN_LOOKUPS
            if now < container.due_ns and (container.generation == generation or known) and not told:
                continue
            changed |= self._identify(container, now)
            if told:
                self._told.discard(container)
                container.due_ns = min(container.due_ns, now + _SETTLED_NS)
        if written:
            self._vain = 0 if changed else self._vain + 1
            quiet = 0.0 if self._vain < _VAIN else min(0.1 * 2.0 ** min(self._vain - _VAIN, 8), _QUIET_SECONDS)
            self._quiet_until = time.monotonic() + quiet

    def _identify(self, container: Container, now: int) -> bool:
        """Look up one identity; whether it is another than before. If a state file hangs, the identity stays what it
        was."""
        if not container.naming.acquire(blocking=False):
            return False
        try:
            changed = self._look_up(container, now)
        finally:
            container.naming.release()
        self._news = self._news or changed
        return changed

    def _look_up(self, container: Container, now: int) -> bool:
        # First the places: what is written between the two looks is found at the next one.
        container.generation = self._names.generation()
        found = self._names.identify(container.ref)
        kept_in = found.metadata.kept_in if found.metadata else ""
        if self._keep_in(container, kept_in, trusted=bool(found.metadata and not found.metadata.owner_uid)):
            found = self._names.identify(container.ref)  # it may have been written between the look and the watch
        on_disk, found = found.metadata, found._replace(metadata=living(found.metadata))
        if on_disk is not None and on_disk.exit_code is not None:  # its engine has not yet written that it runs again
            container.last_end = recorded_end(on_disk, found.id)
        age = None if container.since_ns is None else now - container.since_ns
        container.promised_limit = promised_limit(on_disk, age)
        container.due_ns = now + self._wait(container, found.metadata is not None, behind(on_disk))
        if container.lookups == _SAID_AFTER and found.metadata is None and _has_process(container):
            self._names.say_missing(container.ref)
        if found == container.identity:
            return False
        container.identity = found
        return True

    @staticmethod
    def _wait(container: Container, named: bool, starting: bool) -> int:
        """How long a container's identity is believed, in nanoseconds."""
        if named and not starting:
            container.lookups = 0
            return _IDENTITY_NS
        lookups = container.lookups
        container.lookups += 1
        if named:
            return min(_STARTING_NS << min(lookups, 8), _IDENTITY_NS)
        return _NAMELESS_NS[min(lookups, len(_NAMELESS_NS) - 1)]

    def _keep_in(self, container: Container, place: str, trusted: bool = False) -> bool:
        """Follow the directory of its state files; whether that is new."""
        if place == container.kept_in:
            return False
        if container.kept_in:
            self._states.forget(container.kept_in)
        container.kept_in = place
        return bool(place) and self._states.follow(place, trusted)

    def _look_at_doubles(self) -> None:
        """Of two containers with one name, one no longer has it. A look at their state files tells which."""
        now = time.monotonic_ns()
        names: dict[tuple[int, str, str], list[Container]] = {}
        for container in list(self._containers.values()):
            identity = container.identity
            if identity.metadata is not None:
                names.setdefault((identity.owner_uid, identity.runtime, identity.name), []).append(container)
        for several in names.values():
            if len(several) > 1:
                for container in several:
                    self._identify(container, now)

    def _without_doubles(self) -> list[Container]:
        """System containers first: a user's cgroup never takes the id of a container that is there already.

        Two runtimes of the system may have a container of the same name (LXC, nspawn).
        """
        shown: list[Container] = []
        taken: set[str | tuple[str, str]] = set()
        for container in sorted(self._containers.values(), key=lambda w: w.identity.owner_uid):
            identity = container.identity
            if (identity.id if identity.owner_uid else (identity.runtime, identity.id)) in taken:
                self._names.say_once(
                    identity.id,
                    f"uid={identity.owner_uid} has a cgroup of the same id, left out: {container.ref.path[:200]!r}",
                )
                continue
            taken.update((identity.id, (identity.runtime, identity.id)))
            shown.append(container)
        return shown

    def close(self) -> None:
        """Release everything that is open."""
        for container in [*self._containers.values(), *self._retired]:
            container.close()
        self._discovery.close()
        self._states.close()


def _has_process(container: Container) -> bool:
    """Whether it has one; False also if its files hang."""
    try:
        with container.reading() as cgroup:
            return bool(cgroup.procs(1))
    except ReadingFailed:
        return False
