"""How long readings are waited for: as long as containers come to their end, one after another, or are computed.

On a busy host a hundred containers may take longer than one that hangs may hold up an answer, and so may the listing of
a thousand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MOST_SECONDS = 60.0
"""However many come to their end."""


class Patience:
    """Of one that waits, from now on."""

    def __init__(self, seconds: float, ended: Callable[[], float]) -> None:
        """``seconds`` from when it was last seen that the work gets on; ``ended``: when that was (monotonic)."""
        self._seconds, self._ended = seconds, ended
        self._began = time.monotonic()

    def left(self) -> float:
        """Seconds; 0 or less: give up."""
        until = max(self._began, self._ended()) + self._seconds
        return min(until, self._began + max(MOST_SECONDS, self._seconds)) - time.monotonic()

    async def wait(self, future: asyncio.Future[T]) -> T:
        """The result, or what it raises. Raises TimeoutError; the future is not cancelled then."""
        left = self._began + self._seconds - time.monotonic()
        while not future.done():
            if left <= 0:
                raise TimeoutError
            await asyncio.wait([future], timeout=left)
            if not future.done():
                left = self.left()
        return future.result()
