"""Notices the death of containers' first processes at once, by their pidfds; the event loop reads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ...sampling.container import Container


class Deaths:
    """Used in the event loop. Owns the descriptors that it is given until it passes them on."""

    def __init__(self, died: Callable[[Container, int], None]) -> None:
        self._died = died
        self._open: dict[int, Container] = {}

    def watch(self, several: Iterable[tuple[Container, int]]) -> None:
        """Call ``died`` once for each when its pidfd becomes readable, and leave the pidfd to it."""
        for container, fd in several:
            self._open[fd] = container
            asyncio.get_running_loop().add_reader(fd, self._ended, fd)

    def _ended(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        self._died(self._open.pop(fd), fd)

    def close(self) -> None:
        """Stop watching, and release every descriptor."""
        while self._open:
            fd, container = self._open.popitem()
            asyncio.get_running_loop().remove_reader(fd)
            container.descriptors.close(fd)


class Notice:
    """Notices inotify's events: a record that an end waits for was written, a cgroup came or went. Used in the event
    loop; owns no descriptor.

    The sampling thread reads the events, so after each notice this listens again only when told to.
    """

    def __init__(self, noticed: Callable[[], None]) -> None:
        self._noticed = noticed
        self._fd: int | None = None

    def listen(self, fd: int | None) -> None:
        """Call ``noticed`` once when the descriptor becomes readable."""
        if fd is not None and self._fd is None:
            self._fd = fd
            asyncio.get_running_loop().add_reader(fd, self._readable)

    def _readable(self) -> None:
        self.close()
        self._noticed()

    def close(self) -> None:
        """Stop listening: before the descriptor is closed."""
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._fd = None
