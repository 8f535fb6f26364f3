"""The history's own thread for the disk, and what the event loop sees of it.

Once a minute it takes what memory has behind the last round that is stored; memory itself is the queue. A disk
that fails, or does not answer, is told of once, and tried again a minute later: neither the rounds nor the answers
wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Protocol, TypeVar

from ...basics.event_loop import call_from_thread
from ...outputs.own_metrics import DiskFigures
from ...sampling.history_work import Clocks, clocks
from .disk_model import Contents, DiskFailed, Moved, RunPart, State
from .memory import Memory
from .rows import Fit, Part, Wanted
from .spans import Timeline

log = logging.getLogger(__name__)
T = TypeVar("T")
EACH_SECONDS = 60.0
"""Rounds are stored so often: what a power cut may cost."""
PATIENCE_SECONDS = 3.0
"""An answer waits for the disk for so long."""
_WRITE_SECONDS = 30.0
"""After this time a disk that is written to does not answer."""
_TRIES = 3
"""A file that turns out to be broken is set aside, and the rounds go to another one."""
_END_SECONDS = 2.0
"""The last rounds have this time to be stored when the agent ends."""
SILENT = "the disk does not answer"


class Silent(Exception):
    """The disk does not answer, or cannot be read; the text says why."""


class Files(Protocol):
    """What does the work (:class:`.store.Store`). Each call is in the disk's thread, but for ``state``."""

    state: State

    def open(self) -> None: ...
    def write(self) -> None: ...
    def end(self) -> None: ...
    def seek(self, contents: Contents, part: RunPart, boottime_ns: int) -> int: ...
    def find(self, wanted: str) -> Fit | None: ...
    def fetch(self, first: int, until: int, wanted: Wanted | None, most: int) -> Part: ...


class _Job:
    """A call for the disk's thread."""

    def __init__(self, call: Callable[[], object], loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._loop = loop
        self.future: asyncio.Future[object] = loop.create_future()

    def run(self) -> None:
        """Do it, and tell the event loop."""
        try:
            result, error = self._call(), None
        except Exception as failure:
            result, error = None, failure
        call_from_thread(self._loop, self._done, result, error)

    def _done(self, result: object, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


class Disk:
    """Used in the event loop."""

    def __init__(self, memory: Memory, files: Files, now: Callable[[], Clocks] = clocks) -> None:
        self._memory = memory
        self._now = now
        self._files = files
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._task: asyncio.Task[None] | None = None
        self._late = False
        """Whether a job is late: nothing waits for the disk then."""
        self._trouble = ""
        self.failures = 0
        """How often rounds could not be stored."""

    @property
    def state(self) -> State:
        """What is on disk."""
        return self._files.state._replace(trouble=self._trouble)

    def figures(self) -> DiskFigures:
        """What the agent says of it. Any thread may ask."""
        state, now = self._files.state, self._now()
        run = state.run._replace(boot=self._memory.boot)
        oldest = Timeline.of(state, run, None, now).oldest_ms(state, now)
        seconds = 0.0 if oldest is None else max(0.0, (now.time_ms - oldest) / 1000)
        return DiskFigures(self._trouble, state.bytes, self.failures, state.set_aside, oldest, seconds)

    def start(self) -> None:
        """Look at what is there, and store rounds from now on."""
        threading.Thread(target=self._work, name="history-disk", daemon=True).start()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Store the last rounds, as far as the disk takes them in time."""
        if self._task is not None:
            self._task.cancel()
        self._memory.settle()
        with contextlib.suppress(Silent, Exception):
            await self._ask(self._finish, _END_SECONDS)
        self._jobs.put(None)

    def _finish(self) -> None:
        try:
            self._files.write()
        finally:
            self._files.end()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()

    async def _run(self) -> None:
        await self.store()
        while True:
            await asyncio.sleep(EACH_SECONDS)
            await self.store()

    async def store(self) -> None:
        """Store what is new, unless the disk is still busy with what was before."""
        if self._late:
            self._say(SILENT)
            return
        try:
            for _ in range(_TRIES):
                with contextlib.suppress(Moved):
                    await self._ask(self._files.write, _WRITE_SECONDS)
                    break
        except (DiskFailed, Silent) as error:
            self._say(str(error))
        except Exception as error:
            log.exception("the history on disk")
            self._say(repr(error))
        else:
            self._say("")

    def _say(self, trouble: str) -> None:
        """A trouble has one line when it comes and one when it goes."""
        self.failures += bool(trouble)
        if trouble == self._trouble:
            return
        if trouble:
            log.error("the history is not stored on disk, and goes on in memory: %s", trouble)
        else:
            log.info("the history is stored on disk again")
        self._trouble = trouble

    # -- reading

    async def ready(self) -> None:
        """Wait until the files have been looked at, where that does not take long."""
        if not self._files.state.opened and not self._trouble:
            with contextlib.suppress(DiskFailed, Silent):  # it is told of once a minute
                await self._ask(self._files.open)

    @property
    def unknown(self) -> bool:
        """Whether there may be rounds on disk that could not be looked at yet."""
        return self._late and not self._files.state.opened

    async def find(self, wanted: str) -> Fit | None:
        """See :meth:`.store.Store.find`. Raises Ambiguous, Silent, Moved."""
        return await self._read(partial(self._files.find, wanted))

    async def seek(self, contents: Contents, part: RunPart, boottime_ns: int) -> int:
        """See :meth:`.store.Store.seek`. Raises Silent, Moved."""
        return await self._read(partial(self._files.seek, contents, part, boottime_ns))

    async def fetch(self, first: int, until: int, wanted: Wanted | None, most: int) -> Part:
        """See :meth:`.store.Store.fetch`. Raises Silent, Moved."""
        return await self._read(partial(self._files.fetch, first, until, wanted, most))

    async def _read(self, call: Callable[[], T]) -> T:
        try:
            return await self._ask(call)
        except DiskFailed as error:
            raise Silent(str(error)) from error

    async def _ask(self, call: Callable[[], T], patience: float = 0.0) -> T:
        """Have something done in the disk's thread. Raises Silent."""
        if self._late:
            raise Silent(SILENT)
        job = _Job(call, asyncio.get_running_loop())
        job.future.add_done_callback(self._back)
        self._jobs.put(job)
        try:
            async with asyncio.timeout(patience or PATIENCE_SECONDS):
                return await asyncio.shield(job.future)  # type: ignore[arg-type]
        except TimeoutError:
            self._late = not job.future.done()
            raise Silent(SILENT) from None

    def _back(self, future: asyncio.Future[object]) -> None:
        """A job came back: the disk answers."""
        self._late = False
        if not future.cancelled():
            future.exception()  # seen, also where it came too late
