"""The sampling thread, and what happens when a read hangs.

All kernel files are read in one thread, one job after the other. A read that does not return (a dying disk under a
runtime's state, a FUSE file) holds up its own item only: the thread is left behind with that item and another one goes
on with the rest of the job. Threads are daemons, so a hung one does not keep the process alive.

An item is about one container: it is left behind after half a second, and its result comes when it comes. Or it is
Again (sampling/work_item.py): work that is begun anew in the other thread. That finds the hung file taken
(:mod:`cgroupfs.hangs`) and does without, so that it costs one thread and half a second.

What hangs is told from what is slow by looks, ten a second, at the thread: it uses no CPU time, does not wait for a
processor, and is at the same item each time. A look that comes late does not count: the host is busy.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from cgroupfs.hangs import LeftBehind, awaited_file, leave_behind_if

from ..basics.once_in_a_while import OnceInAWhile
from ..basics.text import printable
from ..sampling.work_item import Again
from .job_line import JobLine

log = logging.getLogger(__name__)

STUCK_SECONDS = 0.5
MAX_THREADS = 16
_CHECK_SECONDS = 0.1
_IDLE_SECONDS = 0.001
_PATH = 1024
_SAY_SECONDS = 600.0
"""A file that hangs has one line in the log, and another one if it still hangs after this time."""


class Job:
    """Items done one after the other. Each is a call that handles its own errors."""

    __slots__ = ("_lock", "_workers", "cpu_seconds", "done", "ended", "failure", "finished", "items", "long")

    def __init__(self, items: deque[Callable[[], None]], *, long: bool = False) -> None:
        """``long``: of so many items that jobs which are not go first (:class:`.job_line.JobLine`)."""
        self.items = items
        self.long = long
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self.cpu_seconds = 0.0
        """CPU time that it took, without the items that hung for good."""
        self.finished: Callable[[], None] = lambda: None
        """Called (in a worker thread) when no item is left or under way."""
        self.failure: BaseException | None = None
        self.done = False
        self.ended = 0.0
        """When an item of it came to its end last (monotonic)."""

    def run(self, worker: _Worker, gives_way: Callable[[], bool] = lambda: False) -> None:
        """Do the items until none is left, until this worker was left behind, or until another job goes first."""
        began = time.thread_time()
        with self._lock:
            self._workers.add(worker)
        while not worker.abandoned and not (self.long and gives_way()):
            try:
                item = worker.item = self.items.popleft()
            except IndexError:
                break
            worker.since = time.monotonic()
            try:
                item()
            except LeftBehind:
                pass
            except BaseException as error:  # an error is never lost in a thread, and does not end it
                if self.failure is None:
                    log.error("an item of the sampling thread failed", exc_info=error)
                self.failure = error
            if not worker.abandoned:
                self.ended = worker.ended = time.monotonic()
        worker.since = worker.item = None
        with self._lock:
            self._workers.discard(worker)
            self.cpu_seconds += time.thread_time() - began
        self.finish_if_over()

    @property
    def only_hangs(self) -> bool:
        """Whether all that is left of it hangs."""
        with self._lock:
            return not self.items and all(worker.abandoned for worker in self._workers)

    @property
    def waits(self) -> bool:
        """Whether it waits for the thread, which is at other jobs."""
        with self._lock:
            return bool(self.items) and all(worker.abandoned for worker in self._workers)

    def finish_if_over(self) -> None:
        """Once no item is left or under way (in a job without items: at once), say so, and only once."""
        with self._lock:
            if self.done or self.items or self._workers:
                return
            self.done = True
        self.finished()


class _Worker:
    """One thread."""

    __slots__ = (
        "_cpu",
        "_cpu_before",
        "_looked_at",
        "_looks",
        "_still",
        "abandoned",
        "ended",
        "file",
        "item",
        "job",
        "replaced",
        "since",
        "thread",
    )

    def __init__(self) -> None:
        self.ended = 0.0
        """When an item came to its end last (monotonic): its own, or one of the worker's before it."""
        self.since: float | None = None
        self.item: Callable[[], None] | None = None
        self._looked_at: tuple[Callable[[], None] | None, float | None] = None, None
        """The item of the last look, and since when."""
        self._cpu = self._cpu_before = 0.0
        """CPU time at the last look, and when it was first seen at this item."""
        self._looks = self._still = 0
        """How often it was seen at this item since; how often in a row it had stood still."""
        self.abandoned = False
        self.replaced = False
        """Whether another thread has begun its work anew."""
        self.file = ""
        """The file that it was left behind with; empty: not known."""
        self.job: Job | None = None
        self.thread: threading.Thread | None = None

    def is_replaced(self) -> bool:
        """Whether its work was taken over, for :func:`cgroupfs.hangs.leave_behind_if`."""
        return self.replaced

    def look(self, *, late: bool) -> None:
        """See what it does; a look that comes ``late`` tells nothing of the time before."""
        if self.thread is None or self.thread.ident is None:
            return
        at, cpu = (self.item, self.since), time.clock_gettime(time.pthread_getcpuclockid(self.thread.ident))
        if None in at or at != self._looked_at:
            self._looked_at, self._cpu_before, self._looks, self._still = at, cpu, 0, 0
        elif not late and not self._is_runnable():
            self._looks += 1
            self._still = self._still + 1 if cpu - self._cpu < _IDLE_SECONDS else 0
        self._cpu = cpu

    def _is_runnable(self) -> bool:
        """Whether it could run and gets no processor: nothing hangs then, the host is busy."""
        thread = None if self.thread is None else self.thread.native_id
        return thread is not None and thread_state(thread) == "R"

    @property
    def hangs(self) -> bool:
        """Whether it waits for a file."""
        return self._still * _CHECK_SECONDS >= STUCK_SECONDS

    @property
    def is_slow(self) -> bool:
        """Whether it computes for as long as another may hang; or does neither, for twice as long."""
        computes = self._cpu - self._cpu_before >= STUCK_SECONDS
        return computes or self._looks * _CHECK_SECONDS >= 2 * STUCK_SECONDS


def thread_state(thread: int) -> str:
    """The state of a thread of this process, by its kernel id: ``R``, ``S``, ``D``, … (proc(5)); empty: not known."""
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode("ascii", "replace")
    except OSError:
        return ""


class SamplingThread:
    """Runs jobs. Used from the event loop: while a job is under way its timer looks for a hung read."""

    def __init__(self) -> None:
        self._unfinished: set[Job] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._jobs: JobLine[Job] = JobLine(lambda job: job.long)
        self._active = _Worker()
        self._left: list[_Worker] = []
        self._once_in_a_while = OnceInAWhile(_SAY_SECONDS)
        self.overruns = 0
        """How often a thread was left behind with a hung read."""

    def start(self) -> None:
        """Start the thread."""
        self._spawn(self._active, None)

    def submit(self, job: Job) -> None:
        """Queue a job. A job without items is finished at once."""
        self._unfinished.add(job)
        self._jobs.put(job)
        if self._timer is None:
            self._supervise_in(_CHECK_SECONDS)

    def ended(self, job: Job) -> float:
        """When it was last seen that a job gets on (monotonic): an item of it came to its end; while it waits in the
        line, any job's."""
        return max(job.ended, self._active.ended) if job.waits else job.ended

    def _supervise(self, due: float) -> None:
        """Runs only while something is under way: an idle agent must not wake up ten times a second.

        ``due``: when it should run. Where that was long ago the sampling thread, too, may not have run since.
        """
        self._unfinished = {job for job in self._unfinished if not job.done}
        self._timer = None
        if self._unfinished:
            self.check(late=time.monotonic() - due > _CHECK_SECONDS)
            self._supervise_in(_CHECK_SECONDS)

    def _supervise_in(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._supervise, due)

    def _spawn(self, worker: _Worker, first: Job | None) -> None:
        worker.job = first
        worker.thread = threading.Thread(target=self._main, args=(worker,), name="cgstatd-sampler", daemon=True)
        worker.thread.start()

    def _main(self, worker: _Worker) -> None:
        leave_behind_if(worker.is_replaced)
        job = worker.job
        while True:
            if job is None:
                job = self._jobs.get()
            if job is None:
                if worker.abandoned:  # it was meant for the thread that took over
                    self._jobs.put(None)
                return
            job.finish_if_over()
            worker.job = job
            job.run(worker, self._jobs.gives_way)
            worker.job = None
            if worker.abandoned:
                if worker.file:
                    log.info("answers again: %s", worker.file)
                if job.items:  # left behind as its item returned: the new thread may know the job before it
                    self._jobs.put(job)
                return
            if job.items:
                self._jobs.put_back(job)
            job = None

    def check(self, *, late: bool = False) -> None:
        """Leave the active thread behind if its item hangs, and put another in its place."""
        worker = self._active
        job, item = worker.job, worker.item
        self._left = [w for w in self._left if w.thread is not None and w.thread.is_alive()]
        worker.look(late=late)
        if not (worker.hangs or worker.is_slow) or len(self._left) >= MAX_THREADS:
            return
        worker.file = self._file_of(worker) if worker.hangs else ""
        # A thread that computes for so long goes on beside the others: two would not do the work any sooner.
        worker.replaced = worker.hangs and worker.item is item and isinstance(item, Again)
        worker.abandoned = True
        self.overruns += 1
        self._left.append(worker)
        if worker.replaced and job is not None and item is not None:
            job.items.appendleft(item)
        self._active = _Worker()
        self._active.ended = worker.ended
        self._spawn(self._active, job)

    def _file_of(self, worker: _Worker) -> str:
        thread = None if worker.thread is None else worker.thread.native_id
        file = "" if thread is None else awaited_file(thread)
        if self._once_in_a_while.due(file):
            log.warning("a reading hangs, and holds a thread: %s", file or "which file is not known")
        return file

    def hung_files(self) -> list[str]:
        """The files that hold threads now, as far as they are known."""
        return sorted({printable(w.file, _PATH) for w in self._left if w.since is not None and w.file})

    @property
    def stuck(self) -> int:
        """How many threads are held by a hung read now."""
        return sum(w.since is not None for w in self._left)

    def stop(self) -> None:
        """Let the idle thread end; a hung one ends with the process."""
        if self._timer is not None:
            self._timer.cancel()
        self._jobs.put(None)
