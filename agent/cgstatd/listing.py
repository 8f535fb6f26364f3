"""Which containers there are: from discovery's cgroups to what is kept of each, named, and each id shown once."""

from __future__ import annotations

import threading
import time

from cgroupfs import Descriptors, Exhausted, Hierarchy, Root
from cgroupfs.pseudofs import EXHAUSTED

from .container import Shared, Watched
from .discovery import CgroupRef, Discovery
from .names import Names

LISTING_SECONDS = 10.0
_IDENTITY_NS = 4_000_000_000
"""Names are looked up again after this time: a rename."""
_NAMELESS_NS = tuple(seconds * 1_000_000_000 for seconds in (1, 8, 30, 300))
"""The same where no name was found and nothing changed where names come from: a runtime that writes its files late."""
_VAIN_LOOKUPS = 6
"""After so many the time alone counts: a user can change the places where names come from as often as they like."""


class ListingFailed(Exception):
    """The containers could not be listed; the text says why."""


class OutOfResources(ListingFailed):
    """The agent itself has no descriptor or memory left: what it does not see may well be there."""


class Listing:
    """The containers of one host. Used by one thread at a time, which it sees to itself."""

    def __init__(
        self,
        root: Root,
        hierarchy: Hierarchy,
        discovery: Discovery,
        names: Names,
        descriptors: Descriptors,
        shared: Shared | None = None,
    ) -> None:
        self._root = root
        self._hierarchy = hierarchy
        self._discovery = discovery
        self._names = names
        self._descriptors = descriptors
        self._shared = shared
        self._watched: dict[str, Watched] = {}
        self._retired: list[Watched] = []
        self._refs: dict[str, CgroupRef] | None = None
        self._shown: list[Watched] = []
        self._lock = threading.Lock()
        self.number = 0
        """How often a listing was another than the one before."""

    def containers(self) -> list[Watched]:
        """The containers that have a cgroup now, those that belong to the system first. Raises ListingFailed."""
        if not self._lock.acquire(timeout=LISTING_SECONDS):
            raise ListingFailed(f"listing the containers takes over {LISTING_SECONDS:.0f} s")
        try:
            refs = self._discovery.refresh()
            changed = refs is not self._refs
            if changed:
                self._refs = refs
                self.number += 1
                self._update(refs)
            if self._name() or changed:
                self._shown = self._without_doubles()
            return self._shown
        except Exhausted as error:
            raise OutOfResources(str(error)) from error
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise OutOfResources(f"cannot list the containers: {error.strerror}") from error
            raise ListingFailed(f"cannot list the containers: {error.filename or ''}: {error.strerror}") from error
        finally:
            self._lock.release()

    def changed_since(self, number: int) -> bool:
        """Whether containers have come or gone since :attr:`number` was that; cheap, and from any thread."""
        return self.number != number or self._discovery.pending()

    def at(self, path: str) -> Watched | None:
        """The container whose cgroup is at a path."""
        return self._watched.get(path)

    def _update(self, refs: dict[str, CgroupRef]) -> None:
        watched = self._watched
        for path in watched.keys() - refs.keys():
            self._retired.append(watched.pop(path))
        for path, ref in refs.items():
            known = watched.get(path)
            if known is not None and known.ref is not ref and known.ref != ref and not known.moved(ref):
                self._retired.append(watched.pop(path))
                known = None
            if known is None:
                known = Watched(
                    self._root, self._hierarchy, ref, self._names.identify(ref), self._descriptors, self._shared
                )
                watched[path] = known
                self._schedule(known, time.monotonic_ns())
        retired, self._retired = self._retired, []
        for gone in retired:
            gone.close(lambda gone=gone: self._retired.append(gone))  # type: ignore[misc]

    def _name(self) -> bool:
        """Look up again the identities that are due; whether any changed."""
        now, generation = time.monotonic_ns(), self._names.generation()
        changed = False
        for watched in self._watched.values():
            known = watched.identity.metadata is not None or watched.lookups >= _VAIN_LOOKUPS
            if now < watched.due_ns and (watched.generation == generation or known):
                continue
            identity = self._names.identify(watched.ref)
            if identity != watched.identity:
                watched.identity = identity
                changed = True
            self._schedule(watched, now)
        return changed

    def _schedule(self, watched: Watched, now: int) -> None:
        watched.generation = self._names.generation()
        if watched.identity.metadata is not None:
            watched.lookups, wait = 0, _IDENTITY_NS
        else:
            wait = _NAMELESS_NS[min(watched.lookups, len(_NAMELESS_NS) - 1)]
            watched.lookups += 1
        watched.due_ns = now + wait

    def _without_doubles(self) -> list[Watched]:
        """System containers first; a user's cgroup never takes the id of one that is there already.

        Of the system's, two runtimes may have a container of the same name (LXC, nspawn).
        """
        shown: list[Watched] = []
        taken: set[str | tuple[str, str]] = set()
        for watched in sorted(self._watched.values(), key=lambda w: w.identity.owner_uid):
            identity = watched.identity
            if (identity.id if identity.owner_uid else (identity.runtime, identity.id)) in taken:
                self._names.say_once(
                    identity.id,
                    f"uid={identity.owner_uid} has a cgroup of the same id, left out: {watched.ref.path[:200]!r}",
                )
                continue
            taken.update((identity.id, (identity.runtime, identity.id)))
            shown.append(watched)
        return shown

    def close(self) -> None:
        """Release everything that is open."""
        for watched in [*self._watched.values(), *self._retired]:
            watched.close()
        self._discovery.close()
