"""Keeps in a file what the webhook has to know after a restart, soon after it has changed.

A disk that is full, or does not answer, is told of once and holds nothing up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..basics.event_loop import in_own_thread
from ..basics.timing import Time
from .kept import CannotKeep, Kept, KeptFile, encode

log = logging.getLogger(__name__)
SOON_SECONDS = 0.5
"""From a change to its writing; what happens meanwhile is written with it."""
_BYTES_A_SECOND = 64 << 10
"""A file so large that this would be exceeded is written less often: what a user's containers do is no burden to the
disk."""
_AGAIN_SECONDS = 60.0
"""After a failure."""
OPEN_SECONDS = 3.0
_WRITE_SECONDS = 30.0
_END_SECONDS = 2.0
SILENT = "the disk does not answer"


class Keeper:
    """Used in the event loop."""

    def __init__(self, directory: str, kept: Callable[[], Kept], time: Time) -> None:
        """``directory``: empty: nothing is kept; ``kept``: what is to be kept now."""
        self._file = KeptFile(directory) if directory else None
        self._kept, self._time = kept, time
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._apart = SOON_SECONDS
        self._trouble = ""
        self.kept = False
        """Whether everything was on disk at the end."""

    async def open(self) -> Kept | None:
        """What was kept; None: nothing."""
        if self._file is None:
            return None
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                found = await in_own_thread(self._file.open)
        except (CannotKeep, TimeoutError) as error:
            log.error("notify: what waits is lost when the agent ends: %s", str(error) or SILENT)
            return None
        self._task = asyncio.get_running_loop().create_task(self._run())
        return found

    def changed(self) -> None:
        """Something is to be kept."""
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await self._time.sleep(self._apart)
            await self._write(_WRITE_SECONDS)
            while self._writing is not None and not self._writing.done():  # it hangs: no other is begun
                await asyncio.wait([self._writing])

    async def _write(self, seconds: float) -> None:
        file = self._file
        if file is None:
            return
        self._changed.clear()
        data = encode(self._kept())
        self._apart = max(SOON_SECONDS, len(data) / _BYTES_A_SECOND)
        self._writing = asyncio.ensure_future(in_own_thread(file.write, data))
        await asyncio.wait([self._writing], timeout=seconds)
        if not self._writing.done():
            self._say(SILENT)
            return
        error = self._writing.exception()
        if error is not None and not isinstance(error, OSError):
            log.error("notify", exc_info=error)
        self._say(str(error.strerror if isinstance(error, OSError) else error) if error else "")
        if error is not None:
            self._apart = _AGAIN_SECONDS
            self._changed.set()

    def _say(self, trouble: str) -> None:
        """Once, until it is another."""
        if trouble and trouble != self._trouble:
            log.error("notify: what waits is not kept on disk: %s", trouble)
        elif self._trouble and not trouble:
            log.info("notify: what waits is kept on disk again")
        self._trouble = trouble

    async def end(self) -> None:
        """Write what is to be kept, as far as the disk takes it in time."""
        if await self._stop():
            await self._write(_END_SECONDS)
            self.kept = not self._trouble
        self._close()

    async def forget(self) -> None:
        """Nothing is to be kept any more."""
        if self._file is not None and await self._stop():
            forgetting = asyncio.ensure_future(in_own_thread(self._file.forget))
            await asyncio.wait([forgetting], timeout=_END_SECONDS)
            if forgetting.done() and forgetting.exception() is not None:
                log.error("notify: %s", forgetting.exception())
        self._close()

    async def _stop(self) -> bool:
        """No more writing; whether the disk answers."""
        task, self._task = self._task, None
        if task is None:
            return False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing], timeout=_END_SECONDS)
            return self._writing.done()
        return True

    def _close(self) -> None:
        if self._file is not None and (self._writing is None or self._writing.done()):
            self._file.close()
