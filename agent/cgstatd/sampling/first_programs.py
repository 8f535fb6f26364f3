"""The programs of containers whose runtime does not keep them (LXC, systemd-nspawn, shims without a state): the name of
the first process as the kernel has it (``comm``), never its arguments."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection

from cgroupfs import CgroupGone, ParseError, Root

from ..basics.text import printable
from ..host.first_process import MOST, first_process
from ..host.procfs.pid_stat import parse_parent
from ..host.starting import prepares
from .container import Container
from .reading_failed import ReadingFailed

SETTLED_SECONDS = 5.0
"""A runtime begins a container under its own name, and becomes the program then."""


class FirstPrograms:
    """Looks at each container until it has been there for some time. Used in the sampling thread."""

    def __init__(self, root: Root, clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._clock = root, clock
        self._known: dict[Container, tuple[float, str | None]] = {}
        """Since when each is known, and its program; empty: the runtime still prepares it."""

    def of(self, container: Container) -> str | None:
        """None: it cannot be told, or there is none yet."""
        return self._known_of(container) or None

    def runs(self, container: Container) -> bool | None:
        """Whether its program was begun: its first process is not the runtime's own. None: it cannot be told."""
        known = self._known_of(container)
        return None if known is None else bool(known)

    def _known_of(self, container: Container) -> str | None:
        now = self._clock()
        since, known = self._known.get(container, (now, None))
        if not known or now - since < SETTLED_SECONDS:
            found = self._read(container)
            known = known if found is None else found
            self._known[container] = since, known
        return known

    def keep(self, those: Collection[object]) -> None:
        """Forget all containers but these."""
        for gone in self._known.keys() - set(those):
            self._known.pop(gone, None)  # another thread may be at it

    def _read(self, container: Container) -> str | None:
        with contextlib.suppress(CgroupGone, OSError, ParseError, ReadingFailed), container.reading() as cgroup:
            first = first_process(self._root, cgroup.procs(MOST), None)
            if first is not None:
                name, _ = parse_parent(self._root.read(f"/proc/{first.pid}/stat"))
                return "" if prepares(name) else printable(name) or None
        return None
