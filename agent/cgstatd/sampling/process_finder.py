"""Holds one process of a container: whatever a process alone can tell is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TypeVar

from cgroupfs import Absent, Cgroup, CgroupGone, Descriptors, Members, ParseError, Root

from ..host.procfs.process import DESCRIPTORS, Process
from .network import Namespaces, Traffic, absent

T = TypeVar("T")
_TRIES = 3
CHECK_NS = 5_000_000_000
"""After so long it is looked again whether the process is still in its cgroup, and in its network namespace."""


class ProcessFinder:
    """Holds one live process of a cgroup, and finds another when that one ended or moved elsewhere."""

    __slots__ = (
        "_cgroup",
        "_check_ns",
        "_closed",
        "_descriptors",
        "_namespace",
        "_process",
        "_root",
        "_unseen",
        "seen",
    )

    def __init__(self, root: Root, cgroup: Cgroup, descriptors: Descriptors) -> None:
        self._root = root
        self._descriptors = descriptors
        self._cgroup = cgroup
        self._closed = False
        self._process: Process | None = None
        self._check_ns = 0
        """When to check it again; 0: at once."""
        self._namespace: int | None = None
        """Its network namespace, once two looks saw the same."""
        self._unseen = Absent.NO_PROCESS
        self.seen = False
        """Whether the cgroup ever had a process: if it had one and has none any more it is stopping."""

    def traffic(self, namespaces: Namespaces) -> Traffic:
        """The container's traffic; absent with a reason where no process can be asked. Raises Exhausted.

        NO_PROCESS: its cgroup lists none. No other trouble with its network says anything of the container's end.
        """
        if self._closed:
            raise CgroupGone(self._cgroup.path)
        if namespaces.monotonic_ns < self._check_ns and self._descriptors.used < self._descriptors.limit:
            with suppress(CgroupGone, ParseError, OSError):  # the usual way; a failure is looked into below
                return namespaces.read(self._process, self._namespace)  # type: ignore[arg-type]  # held till _check_ns
        traffic = self._look(namespaces)
        if self._process is not None and self._descriptors.used >= self._descriptors.limit:
            self._release()
        return traffic or absent(self._unseen)

    def ask(self, read: Callable[[Process], T], namespaces: Namespaces, listed: Collection[int] = ()) -> T | None:
        """What ``read`` finds of the process that is held; None: none is held, or it is gone or in another cgroup.

        ``listed``: processes that the cgroup listed a moment ago. One of them that lives is in the cgroup: its number
        cannot have been another's. Raises Exhausted.
        """
        if self._process is None and not self._closed and self._descriptors.used < self._descriptors.limit:
            self._find(namespaces, set())
        if self._process is not None:
            with suppress(CgroupGone, OSError):
                found = read(self._process)
                if self._process.pid in listed or self._process.stayed():
                    return found
            self._release()
        return None

    def _look(self, namespaces: Namespaces) -> Traffic | None:
        """Ask a few processes, each once; None: :attr:`_unseen` says why none of them answers."""
        asked: set[int] = set()
        for _ in range(_TRIES):
            if self._process is None:
                self._find(namespaces, asked)
            if self._process is None:
                return None
            asked.add(self._process.pid)
            traffic = self._ask(self._process, namespaces)
            if traffic is not None:
                return traffic
            self._release()
        self._unseen = self._why(self._cgroup.members(1), namespaces)
        return None

    def _ask(self, process: Process, namespaces: Namespaces) -> Traffic | None:
        """None: the process ended or moved to another cgroup meanwhile.

        Each reading tells whether it lives. Whether it moved, or changed its network namespace, is checked after the
        first reading and then once in a while.
        """
        try:
            traffic = namespaces.read(process)
        except CgroupGone:
            return None
        except ParseError as error:
            traffic = absent(error.reason)
        except PermissionError:
            traffic = absent(Absent.PERMISSION)
        except OSError:
            traffic = absent(Absent.READ_FAILED)
        if namespaces.monotonic_ns >= self._check_ns:
            if self._check_ns:  # not at once: a service's process is in its cgroup before it leaves the host's network
                self._namespace = traffic.namespace
            self._check_ns = namespaces.monotonic_ns + CHECK_NS
            return traffic if process.stayed() else None
        return traffic

    def _find(self, namespaces: Namespaces, asked: set[int]) -> None:
        """Hold a process that is in the cgroup before and after it was opened: its pid may be reused in between."""
        members = self._cgroup.members()
        for pid in members.pids:
            self.seen = True
            if pid in asked:
                continue
            with suppress(CgroupGone, OSError):
                self._process = Process(self._root, pid, members.path)
                self._check_ns = 0
                self._descriptors.used += DESCRIPTORS
                return
        if members.pids:  # they may all have ended meanwhile
            members = self._cgroup.members(1)
        self._unseen = self._why(members, namespaces)

    @staticmethod
    def _why(members: Members, namespaces: Namespaces) -> Absent:
        """Why none of a cgroup's processes has told its network."""
        if members.foreign:
            return Absent.FOREIGN
        if members.pids:
            return Absent.HIDDEN if namespaces.host is None else Absent.NO_NETWORK
        return Absent.NO_PROCESS if members.whole else Absent.TOO_MANY

    def close(self) -> None:
        """Release the process, for good."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = self._namespace = None
            self._check_ns = 0
            self._descriptors.used -= DESCRIPTORS
