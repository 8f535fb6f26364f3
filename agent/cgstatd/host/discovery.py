"""Which containers are on the host: the hierarchies' directories put together, and whom each container belongs to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from cgroupfs import Hierarchy, Root

from .cgroup_tree import MOST_CONTAINERS, MOST_MADE, Found, Matcher, Tree
from .inotify import Inotify
from .runtimes.base import Match

log = logging.getLogger(__name__)
MAX_PER_USER = 500
"""Containers of one unprivileged user that are shown: cgroup names cost their maker nothing, a reading costs us."""


@dataclass(frozen=True, slots=True)
class CgroupRef:
    """A container's cgroup: its path, its directory's inode in every hierarchy that has it, and its owner."""

    path: str
    match: Match
    inodes: tuple[tuple[str, int], ...]
    """(mount point, inode): a container that was restarted at the same path has others."""
    owner_uid: int
    parent_owner_uid: int


class Discovery:
    """Lists container cgroups. Used by one thread at a time.

    ``follow`` False walks at every listing instead of following changes by inotify (recorded trees, hosts without
    inotify instances to spare).
    """

    def __init__(self, root: Root, hierarchy: Hierarchy, match: Matcher, *, follow: bool = True) -> None:
        self._inotify = self._open_inotify() if follow else None
        self._trees = [Tree(root, mount, match, self._inotify) for mount in hierarchy.trees]
        self._versions: list[int] | None = None
        self._refs: dict[str, CgroupRef] = {}
        self._crowded: set[int] = set()
        self.left_out = False
        """Whether there are more containers than are shown."""
        self._failed: set[str] = set()
        self.unseen: dict[str, Match] = {}
        """Containers of the system's that came and went between two refreshes, by path. Whoever takes note of them
        empties it."""

    @staticmethod
    def _open_inotify() -> Inotify | None:
        try:
            return Inotify()
        except OSError as error:
            log.warning(
                "inotify: %s: every listing walks the cgroups instead (see fs.inotify.max_user_instances)", error
            )
            return None

    def refresh(self) -> dict[str, CgroupRef]:
        """Every container cgroup by its path, up to date; the same object until something changes.

        Raises OSError where no hierarchy can be read.
        """
        if self._inotify is not None:
            for event in self._inotify.events():
                for tree in self._trees:
                    tree.event(event.watch, event.mask, event.name)
        self._refresh_trees()
        versions = [tree.version for tree in self._trees]
        if versions != self._versions:
            self._versions = versions
            self._refs = {ref.path: ref for ref in self._fair(self._merged())}
        for tree in self._trees:
            for path, match in tree.made.items():
                if path not in self._refs and len(self.unseen) < MOST_MADE:
                    self.unseen[path] = match
            tree.made.clear()
        return self._refs

    def _refresh_trees(self) -> None:
        failed: OSError | None = None
        for tree in self._trees:
            try:
                tree.refresh()
            except OSError as error:
                failed = error
                tree.containers = {}
                tree.version += 1
                if tree.mount.point not in self._failed:
                    self._failed.add(tree.mount.point)
                    log.warning("cannot list %s: %s", tree.mount.point, error.strerror)
            else:
                self._failed.discard(tree.mount.point)
        if failed is not None and not any(tree.containers for tree in self._trees):
            raise failed

    def _merged(self) -> Iterator[CgroupRef]:
        """Paths of all hierarchies, in the order of the hierarchies and, in each, of their finding."""
        founds: dict[str, list[tuple[str, Found]]] = {}
        for tree in self._trees:
            for path, found in tree.containers.items():
                founds.setdefault(path, []).append((tree.mount.point, found))
        for path, places in founds.items():
            yield CgroupRef(
                path,
                places[0][1].match,
                tuple((point, found.inode) for point, found in places),
                next((found.owner_uid for _, found in places if found.owner_uid), 0),
                next((found.parent_owner_uid for _, found in places if found.parent_owner_uid), 0),
            )

    def _fair(self, refs: Iterator[CgroupRef]) -> list[CgroupRef]:
        count: dict[int, int] = {}
        found: list[tuple[int, CgroupRef]] = []
        """With its number among those of its user; the system's have none."""
        for ref in refs:
            uid = ref.parent_owner_uid  # who made it: root's engine may give its containers to another uid
            count[uid] = count.get(uid, 0) + 1
            if not uid or count[uid] <= MAX_PER_USER:
                found.append((count[uid] if uid else 0, ref))
            elif uid not in self._crowded:
                self._crowded.add(uid)
                log.warning("uid=%d has more than %d container cgroups: the others are not shown", uid, MAX_PER_USER)
        self._say_left_out(len(found) > MOST_CONTAINERS)
        if self.left_out:  # the system's first, then one of each user, the second of each
            found = sorted(found, key=lambda each: each[0])[:MOST_CONTAINERS]
        return [ref for _, ref in found]

    def _say_left_out(self, left_out: bool) -> None:
        if left_out and not self.left_out:
            log.warning("more than %d containers: the others are not shown, and not read", MOST_CONTAINERS)
        self.left_out = left_out

    def pending(self) -> bool:
        """Whether cgroups have come or gone since the last listing; False where that is found by walking."""
        return self._inotify is not None and self._inotify.pending()

    @property
    def news_fd(self) -> int | None:
        """A descriptor that is readable when :meth:`pending`; None: there is none."""
        return None if self._inotify is None or self._inotify.fd < 0 else self._inotify.fd

    def close(self) -> None:
        """Release the inotify instance."""
        if self._inotify is not None:
            self._inotify.close()
