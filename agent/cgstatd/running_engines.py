"""Data roots that running engines were given on their command line: found in /proc, without asking the engine.

``dockerd --data-root /mnt/docker`` (or ``-g``, ``--graph``), and conmon's bundle path
(``-b /mnt/containers/overlay-containers/<id>/userdata``), which names Podman's storage root. Only processes of root are
believed: anyone may call a process of theirs dockerd.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Sequence

from cgroupfs import Root

from .runtimes.base import MetadataSource
from .runtimes.docker import DockerSource
from .runtimes.podman import PodmanSource

log = logging.getLogger(__name__)
_AGAIN_SECONDS = 10.0
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


def running_roots(root: Root) -> Iterator[tuple[str, str]]:
    """(engine, data root) of every engine process of root."""
    try:
        pids = [name for name in os.listdir(root.join("/proc")) if name.isdigit()]
    except OSError:
        return
    for pid in pids:
        path = f"/proc/{pid}"
        try:
            if root.read(f"{path}/comm").strip() not in (b"dockerd", b"conmon") or root.identity(path).uid != 0:
                continue
            found = root_of(root.read(f"{path}/cmdline")[:_COMMAND_BYTES].split(b"\0"))
        except OSError:
            continue
        if found is not None:
            yield found


class LateSources:
    """Metadata sources of engines that came up, or were given a data root, in a way no file tells.

    Called when a container is not known to any source; looks again at most every ten seconds.
    """

    def __init__(self, root: Root, known: Sequence[str] = ()) -> None:
        self._root = root
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
                log.info("engine=%s data_root=%s found by its process", engine, path)
                found.append(DockerSource(self._root, path) if engine == "docker" else PodmanSource(self._root, path))
        return found
