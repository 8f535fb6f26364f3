"""Data roots that running engines were given on their command line: found in /proc, without asking the engine.

``dockerd --data-root /mnt/docker`` (or ``-g``, ``--graph``), and conmon's bundle path
(``-b /mnt/containers/overlay-containers/<id>/userdata``), which names Podman's storage root; where no dockerd runs,
its containers' shims lead to the data root (:mod:`.docker_shims`), and those of another containerd to its state. Only
processes of root outside every container are believed: every user may call a process dockerd, a container's root too
(and Docker in Docker really is one, with a data root and a network of its own).
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from cgroupfs import Root

from . import docker_shims as shims_of
from . import runtimes
from .runtimes.base import MetadataSource
from .runtimes.budget import Budget
from .runtimes.containerd import ContainerdSource
from .runtimes.docker import DockerSource
from .runtimes.podman import PodmanSource
from .runtimes.statefile import StateFiles

log = logging.getLogger(__name__)
_AGAIN_SECONDS = 10.0
_NAMESPACES_SECONDS = 60.0
_COMMAND_BYTES = 1 << 16
_DATA_ROOT = re.compile(rb"--?(?:data-root|graph|g)")
_BUNDLE = re.compile(rb"(/.+)/[a-z0-9]+-containers/[0-9a-f]{64}/userdata/?")


def _value(arguments: Sequence[bytes], option: re.Pattern[bytes]) -> bytes | None:
    """The value of ``--option value`` or ``--option=value``."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition(b"=")
        if option.fullmatch(name):
            return value if equals else (arguments[index + 1] if index + 1 < len(arguments) else None)
    return None


def root_of(arguments: Sequence[bytes]) -> tuple[str, str] | None:
    """(engine, data root) out of one command line; None: not an engine, or one with its default root."""
    program = os.path.basename(arguments[0]) if arguments else b""
    root: bytes | None = None
    if program == b"dockerd":
        root = _value(arguments, _DATA_ROOT)
    elif program == b"conmon":
        bundle = _BUNDLE.fullmatch(_value(arguments, re.compile(rb"-b|--bundle")) or b"")
        root = bundle[1] if bundle else None
    if not root or not root.startswith(b"/"):
        return None
    return "docker" if program == b"dockerd" else "podman", os.fsdecode(root)


def in_container(membership: bytes) -> bool:
    """Whether a /proc/<pid>/cgroup names a container's cgroup in any hierarchy (``0::/system.slice/docker-…``)."""
    for line in membership.decode("utf-8", "surrogateescape").splitlines():
        parent = ""
        for name in line.split(":", 2)[-1].strip("/").split("/"):
            if isinstance(runtimes.match(parent, name), runtimes.Match):
                return True
            parent = f"{parent}/{name}"
    return False


ENGINES = (b"dockerd", b"conmon")


def engine_processes(root: Root, names: Sequence[bytes] = ENGINES) -> Iterator[tuple[str, list[bytes]]]:
    """(/proc path, command line) of every process of root outside containers whose name is one of these."""
    try:
        pids = [name for name in os.listdir(root.join("/proc")) if name.isdigit()]
    except OSError:
        return
    for pid in pids:
        path = f"/proc/{pid}"
        try:
            if root.read(f"{path}/comm").strip() not in names or root.identity(path).uid != 0:
                continue
            if in_container(root.read(f"{path}/cgroup")):
                continue
            yield path, root.read(f"{path}/cmdline")[:_COMMAND_BYTES].split(b"\0")
        except OSError:
            continue


def running_roots(root: Root) -> Iterator[tuple[str, str]]:
    """(engine, data root) of every engine process that was given one, and of engines whose containers run without
    them."""
    shims: list[list[bytes]] = []
    for _, arguments in engine_processes(root, (*ENGINES, shims_of.COMM)):
        if os.path.basename(arguments[0]).startswith(shims_of.COMM):
            shims.append(arguments)
        elif (found := root_of(arguments)) is not None:
            yield found
    for path in shims_of.data_roots(root, shims):
        yield "docker", path
    for path in shims_of.containerd_states(root, shims):
        yield "containerd", path


def containerd_states(root: Root) -> Iterator[str]:
    """The state directories of the containerds that have tasks, but Docker's."""
    yield from shims_of.containerd_states(root, [found for _, found in engine_processes(root, (shims_of.COMM,))])


class EngineNamespaces:
    """Network namespaces that dockerd itself is in: ``--network host`` means that one, wherever it was started.

    Nearly always the host's; known without reading any metadata. Looked for at most once a minute.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._looked = float("-inf")
        self._found: frozenset[int] = frozenset()

    def __call__(self) -> frozenset[int]:
        """Inodes of net/dev, as :class:`cgstatd.sampling.network.Namespaces` compares them."""
        if time.monotonic() - self._looked > _NAMESPACES_SECONDS:
            self._looked = time.monotonic()
            self._found = frozenset(self._inodes())
        return self._found

    def _inodes(self) -> Iterator[int]:
        for path, arguments in engine_processes(self._root):
            if os.path.basename(arguments[0]) == b"dockerd":
                with contextlib.suppress(OSError):
                    yield self._root.identity(f"{path}/net/dev").inode


class _MakeSource(Protocol):
    def __call__(self, root: Root, path: str, /, *, files: StateFiles) -> MetadataSource: ...


_SOURCES: dict[str, _MakeSource] = {
    "docker": DockerSource, "podman": PodmanSource, "containerd": ContainerdSource
}  # fmt: skip
_WORDS = {"containerd": "state"}


class LateSources:
    """Metadata sources of engines that came up, or were given a data root, in a way that no file tells.

    Called when no source knows a container; looks again at most every ten seconds.
    """

    def __init__(
        self,
        root: Root,
        known: Sequence[str] = (),
        budget: Budget | None = None,
        states: list[str] | None = None,
    ) -> None:
        """``states``: containerd's state directories, to which those that are found are added."""
        self._root = root
        self._states = [] if states is None else states
        self._files = StateFiles(root, 0, budget)
        self._known = set(known)
        self._looked = float("-inf")

    def __call__(self) -> list[MetadataSource]:
        """The sources that are new since the last call."""
        if time.monotonic() - self._looked < _AGAIN_SECONDS:
            return []
        self._looked = time.monotonic()
        found: list[MetadataSource] = []
        for engine, path in running_roots(self._root):
            if path not in self._known:
                self._known.add(path)
                log.info("engine=%s %s=%s found by its process", engine, _WORDS.get(engine, "data_root"), path)
                if engine == "containerd" and path not in self._states:
                    self._states.append(path)
                make = _SOURCES[engine]
                found.append(make(self._root, path, files=self._files))
        return found
