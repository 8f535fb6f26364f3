"""Notices the death of containers' first processes at once, by their pidfds; the event loop reads nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable

from ..container import Watched


class Deaths:
    """Used in the event loop. Owns the descriptors that it is given."""

    def __init__(self, died: Callable[[Watched], None]) -> None:
        self._died = died
        self._open: dict[int, Watched] = {}

    def watch(self, several: Iterable[tuple[Watched, int]]) -> None:
        """Call ``died`` once for each when its pidfd becomes readable."""
        for watched, fd in several:
            self._open[fd] = watched
            asyncio.get_running_loop().add_reader(fd, self._ended, fd)

    def _ended(self, fd: int) -> None:
        watched = self._open.pop(fd)
        self._release(fd)
        self._died(watched)

    @staticmethod
    def _release(fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)

    def close(self) -> None:
        """Watch nobody any more."""
        while self._open:
            self._release(self._open.popitem()[0])
