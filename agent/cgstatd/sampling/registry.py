"""The containers that there are: discovery's cgroups, each kept and named, and each id shown once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from cgroupfs import Descriptors, Exhausted, Hierarchy, Root
from cgroupfs.hangs import still_wanted
from cgroupfs.pseudofs import EXHAUSTED

from ..host.discovery import CgroupRef, Discovery
from ..host.identity import Names
from ..host.state_changes import StateWatch
from .container import Container
from .naming import Naming
from .open_files import Shared

LISTING_SECONDS = 10.0


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
        self._naming = Naming(names, states or StateWatch(root, follow=False))
        self._containers: dict[str, Container] = {}
        self._retired: list[Container] = []
        self._refs: dict[str, CgroupRef] | None = None
        self._shown: list[Container] = []
        self._lock = threading.Lock()
        self._news = False
        """Whether the containers that are shown are out of date."""
        self.number = 0
        """How many listings were not the same as the one before: other containers, or other words about them."""
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
            elif self._discovery.unseen:
                self.came_or_went()
        with self._failures():
            self._naming.look_up_due(list(self._containers.values()), time.monotonic_ns(), hurry)
        return self._show()

    def look_again(self, several: Iterable[Container]) -> bool:
        """Look at the state files of some containers now; whether they say anything else. Raises ListingFailed."""
        now = time.monotonic_ns()
        with self._failures():
            changed = [
                self._naming.look_up(each, now) for each in several if self._containers.get(each.ref.path) is each
            ]
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
        if self._news or self._naming.changed:
            with self._failures():
                self._look_at_doubles()
            with self._only():
                self._news = self._naming.changed = False
                self.number += 1
                self._shown = self._without_doubles()
        return self._shown

    def changed_since(self, number: int) -> bool:
        """Whether containers have come, gone or changed since :attr:`number` was that; cheap, and from any thread."""
        return self.number != number or self._discovery.pending() or self._naming.pending()

    @property
    def written(self) -> int:
        """How often state files were found written: containers that are on disk only may have changed too."""
        return self._naming.written

    @property
    def news_fd(self) -> int | None:
        """Readable when cgroups have come or gone since the last listing; None: that is found by walking."""
        return self._discovery.news_fd

    def unseen(self) -> list[CgroupRef]:
        """Containers of the system's that came and went between two listings since the last call."""
        found = self._discovery.unseen
        return [CgroupRef(path, found.pop(path), (), 0, 0) for path in list(found)]

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
        gone.closed = True  # first: a thread that looks for its name follows nothing then
        self._naming.forget(gone)
        self._retired.append(gone)

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
                    self._naming.look_up(container, now)

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
        self._naming.close()
