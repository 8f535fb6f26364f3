"""Follows the directories of one cgroup hierarchy: walked once, then rescanned where inotify sees a change.

The outermost directory that a runtime's naming matches is a container; directories inside it are not looked at. Each
container carries its owner: cgroup names are input, and an unprivileged user can make directories with any name below
their own slice.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from cgroupfs import CgroupGone, Directory, Exhausted, Mount, Root

from .inotify import IN_CREATE, IN_IGNORED, IN_Q_OVERFLOW, Inotify
from .runtimes.base import SKIP, Match, Skip
from .user_room import Room
from .user_turns import ENTRIES, FOLLOWING, Turns

log = logging.getLogger(__name__)

MAX_DEPTH = 32
MAX_DIRECTORIES = 50_000
"""Directories followed in one hierarchy. At most half of them are below users' directories: a user can make any
number."""
MOST_CONTAINERS = 5_000
"""Containers that are shown, and of the system's those that are remembered of one hierarchy. Each takes 25 kB with what
is kept of it, and a host of 20,000 had the agent killed for want of memory."""
MOST_OF_A_USER = 2_000
"""Entries of one directory of a user's that are looked at: each change in it makes the agent list all of them again."""
USERS_LOOKS = 2_000
"""So many of a user's directories are looked into in one refresh, or a third of that if they are new: some 30 ms."""
MOST_MADE = 256
"""Containers that came since the last refresh and are remembered, whether they are still there or not."""
_USER_SLICE = re.compile(r"user-([0-9]{1,10})\.slice")
Matcher = Callable[[str, str], Match | Skip | None]


@dataclass(frozen=True, slots=True)
class Found:
    """A container's directory in one hierarchy."""

    path: str
    match: Match
    inode: int
    owner_uid: int
    """0, or the unprivileged uid that owns the directory, a directory above it, or the user slice it is in."""
    parent_owner_uid: int
    """The same without the directory itself: who could have made it (a runtime may give a container its own cgroup)."""


@dataclass(slots=True)
class _Node:
    """A directory that is followed: its watch number, its children that are followed too, and its owner."""

    inode: int
    above_uid: int
    """Owner of the directory above."""
    owner_uid: int
    watch: int | None
    children: set[str] = field(default_factory=set)
    stale: bool = False
    """Its watch has ended: another directory is at the path now."""


class Tree:
    """One hierarchy. Not thread-safe: used by the listing alone."""

    def __init__(self, root: Root, mount: Mount, match: Matcher, inotify: Inotify | None) -> None:
        self._root = root
        self._mount = mount
        self._match = match
        self._inotify = inotify
        self._nodes: dict[str, _Node] = {}
        self._watches: dict[int, str] = {}
        self._dirty: set[str] = set()
        self._lost = False
        """Events were lost: all that is known may be wrong."""
        self._full = False
        self._of_system = 0
        """Containers that no user can have made."""
        self._room = Room()
        self._shut = False
        self._turns = Turns()
        self.containers: dict[str, Found] = {}
        self.made: dict[str, Match] = {}
        """Containers of the system's whose directories were made, by inotify's word: some may be gone already. Whoever
        takes note of them empties it."""
        self.version = 0
        """Counts up whenever ``containers`` changes."""

    @property
    def mount(self) -> Mount:
        """The hierarchy."""
        return self._mount

    def event(self, watch: int, mask: int, name: bytes = b"") -> None:
        """Note what inotify says of one of this tree's watches (or of none: an overflow)."""
        if mask & IN_Q_OVERFLOW:
            self._lost = True
        path = self._watches.get(watch)
        if path is None:
            return
        if mask & IN_IGNORED:  # the directory is gone; a new one at its path needs a watch of its own
            del self._watches[watch]
            node = self._nodes.get(path)
            if node is not None and node.watch == watch:
                node.watch = None
                node.stale = True
                self._dirty.add(path.rpartition("/")[0])
        else:
            self._dirty.add(path)
            if mask & IN_CREATE and len(self.made) < MOST_MADE:
                self._note_made(path, os.fsdecode(name))

    def _note_made(self, parent: str, name: str) -> None:
        node, kind = self._nodes.get(parent), self._match(parent, name)
        if node is not None and not node.owner_uid and isinstance(kind, Match):
            self.made[f"{parent}/{name}"] = kind

    def refresh(self) -> None:
        """Bring ``containers`` up to date. Raises OSError where the hierarchy cannot be read; the next call then walks
        anew."""
        try:
            for path in self._turns.begin(self._due()):  # parents first: their rescan drops children that are gone
                if path in self._nodes:
                    self._scan(path)
        except (OSError, Exhausted):
            self._forget()
            raise

    def _due(self) -> set[str]:
        """The directories to be scanned now."""
        root = self._nodes.get("")
        dirty, self._dirty = self._dirty, set()
        if root is None or root.stale or self._lost:
            self._forget()
            if not self._follow("", 0, 0):
                raise FileNotFoundError(errno.ENOENT, "the cgroup file system is gone", self._real(""))
            return {""}
        return dirty if self._inotify is not None else set(self._nodes)

    def _real(self, path: str) -> str:
        return self._root.join(self._mount.point) + path

    def _owner(self, path: str, above: int, fd: int | None = None) -> int:
        name = path.rpartition("/")[2]
        slice_of = _USER_SLICE.fullmatch(name)
        if above or slice_of:
            return above or int(slice_of[1] if slice_of else 0)
        try:
            return self._root.identity(self._mount.point + path, fd).uid
        except OSError:
            return 0

    def _follow(self, path: str, inode: int, above: int) -> bool:
        """Add a directory. The watch comes before the first scan, so that no child made in between is missed."""
        room = MAX_DIRECTORIES // 2 if above else MAX_DIRECTORIES
        if len(self._nodes) >= room or path.count("/") > MAX_DEPTH or not self._room.has(above, path):
            self._say_full(path.rpartition("/")[0])
            return False
        watch = None
        if self._inotify is not None:
            try:
                watch = self._inotify.add(self._real(path))
                self._watches[watch] = path
            except FileNotFoundError:
                return False
            except PermissionError:  # its owner may close it to us, at the cost of their own containers only
                self._say_shut(path)
                return False
            except OSError as error:
                log.warning(
                    "inotify: %s: every listing walks the cgroups instead (see fs.inotify.max_user_watches)",
                    error.strerror,
                )
                self._inotify = None
        self._nodes[path] = _Node(inode, above, self._owner(path, above), watch)
        self._room.take(above, path)
        return True

    def _say_full(self, path: str) -> None:
        if not self._full:
            self._full = True
            log.warning("too many or too deep cgroups below %s: not followed", self._real(path)[:200])

    def _say_shut(self, path: str) -> None:
        if path == "":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self._real(path))
        if not self._shut:
            self._shut = True
            log.warning("%r cannot be looked into: permission denied", self._real(path)[:200])

    def _list(self, path: str, node: _Node) -> dict[str, int]:
        """Name and inode of its subdirectories; nothing where it is gone or shut. Raises OSError."""
        try:
            with Directory(self._real(path)) as directory:
                owner = self._owner(path, node.above_uid, directory.fd)
                most = MOST_OF_A_USER if owner else None
                listing = dict(islice(directory.children(), most))
        except CgroupGone:
            if path == "":
                raise FileNotFoundError(errno.ENOENT, "the cgroup file system is gone", self._real(path)) from None
            return {}
        except PermissionError:
            self._say_shut(path)
            return {}
        if most is not None and len(listing) >= most:
            self._say_full(path)
        if owner != node.owner_uid:  # a delegated unit's cgroup is made first and given to its user then
            node.owner_uid = owner
            for name in node.children:
                self._drop(f"{path}/{name}")
            node.children = set()
        return listing

    def _scan(self, path: str) -> None:
        """Compare one directory with what is known of it; new subdirectories are scanned too."""
        node = self._nodes[path]
        if not self._turns.has(node.owner_uid, USERS_LOOKS):
            self._turns.put_off(path)
            return
        listing = self._list(path, node)
        self._turns.spend(node.owner_uid, 1 + len(listing) // ENTRIES)
        for name in node.children:
            # Children that are gone go first: a directory that was renamed (v1 can) keeps its watch number.
            known = self._nodes.get(f"{path}/{name}")
            if name not in listing or (known is not None and (known.stale or known.inode != listing[name])):
                self._drop(f"{path}/{name}")
        seen = set()
        for name, inode in listing.items():
            child = f"{path}/{name}"
            kind = self._match(path, name)
            if isinstance(kind, Match):
                if self._found(child, kind, inode, node):
                    seen.add(name)
            elif kind is not SKIP:
                if child in self._nodes:
                    seen.add(name)
                elif not self._turns.has(node.owner_uid, USERS_LOOKS):
                    self._turns.put_off(path)
                elif self._follow(child, inode, node.owner_uid):
                    seen.add(name)
                    self._turns.spend(node.owner_uid, FOLLOWING)
                    self._scan(child)
        node.children = seen

    def _found(self, path: str, match: Match, inode: int, parent: _Node) -> bool:
        """Remember a container; whether there is room."""
        known = self.containers.get(path)
        if known is not None and known.inode == inode:
            return True
        if known is not None:
            self._drop(path)
        if not self._room.has(parent.owner_uid, path) or (not parent.owner_uid and self._of_system > MOST_CONTAINERS):
            return False
        self._of_system += not parent.owner_uid
        self.containers[path] = Found(path, match, inode, self._owner(path, parent.owner_uid), parent.owner_uid)
        self._room.take(parent.owner_uid, path)
        self.version += 1
        return True

    def _drop(self, path: str) -> None:
        """Forget a directory that is gone, and everything below it."""
        if (gone := self.containers.pop(path, None)) is not None:
            self._room.give_back(gone.parent_owner_uid, path)
            self._of_system -= not gone.parent_owner_uid
            self.version += 1
        node = self._nodes.pop(path, None)
        if node is None:
            return
        self._room.give_back(node.above_uid, path)
        if node.watch is not None and self._watches.pop(node.watch, None) is not None and self._inotify is not None:
            self._inotify.remove(node.watch)
        for name in node.children:
            self._drop(f"{path}/{name}")

    def _forget(self) -> None:
        """Forget everything."""
        if self._inotify is not None:
            for watch in self._watches:
                self._inotify.remove(watch)
        self.version += bool(self.containers)
        self.containers = {}
        self._nodes.clear()
        self._room.clear()
        self._of_system = 0
        self._watches.clear()
        self._dirty.clear()
        self._turns.forget()
        self._lost = False
