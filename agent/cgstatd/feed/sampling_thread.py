"""The sampling thread, and what happens when a read hangs.

All kernel files are read in one thread, one job (:mod:`.job`) after the other. A read that does not return (a dying
disk under a runtime's state, a FUSE file) holds up its own item only: the thread (:mod:`.sampling_worker`) is left
behind with that item and another one goes on with the rest of the job. Threads are daemons, so a hung one does not keep
the process alive.

An item is about one container: it is left behind after half a second, and its result comes when it comes. Or it is
Again (sampling/work_item.py): work that is begun anew in the other thread. That finds the hung file taken
(:mod:`cgroupfs.hangs`) and does without, so that it costs one thread and half a second.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Sequence

from cgroupfs.hangs import awaited_file, leave_behind_if

from ..basics.once_in_a_while import OnceInAWhile
from ..basics.text import printable
from ..sampling.work_item import Again
from . import sampling_worker
from .job import Job
from .job_line import JobLine
from .known_hangs import KnownHangs
from .sampling_worker import Worker

log = logging.getLogger(__name__)

MAX_THREADS = 16
_PATH = 1024
SWITCH_SECONDS = 0.0005
"""How long a thread that wants the interpreter's lock waits for another one that computes. Each system call lets go of
the lock: with the usual 5 ms an answer of twenty calls would take a tenth of a second."""
BUSY_SWITCH_SECONDS = 0.0001
"""The same while a job takes longer than to the first look: the host is large, or clients keep the event loop busy.
Then a reading of a thousand calls and the loop would each wait for the other a thousand times. Not always: a single
answer costs half as much again."""
_SAY_SECONDS = 600.0
"""A file that hangs has one line in the log, and another one if it still hangs after this time."""


class SamplingThread:
    """Runs jobs. Used from the event loop: while a job is under way its timer looks for a hung read."""

    def __init__(self) -> None:
        self._unfinished: set[Job] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._jobs: JobLine[Job] = JobLine(lambda job: job.long)
        self._active = Worker()
        self._left: list[Worker] = []
        self._often = False
        self._known = KnownHangs()
        self._once_in_a_while = OnceInAWhile(_SAY_SECONDS)
        self.overruns = 0
        """How often a thread was left behind with a hung read."""
        self.left_moved = 0.0
        """When a thread that was left behind, because it is slow, was last seen to compute (monotonic)."""

    def start(self) -> None:
        """Start the thread."""
        self._spawn(self._active, None)

    def submit(self, job: Job) -> None:
        """Queue a job. A job without items is finished at once."""
        self._unfinished.add(job)
        self._jobs.put(job)
        if self._timer is None:
            self._supervise_later()

    def moved(self, jobs: Sequence[Job]) -> float:
        """When a thread that is at one of these jobs was last seen to compute, or would if it got a processor
        (monotonic); where one of them waits in the line, the active thread, too."""
        active = [self._active.moved] if any(job.waits for job in jobs) else []
        return max([0.0, *active, *(job.moved for job in jobs)])

    def ended(self, job: Job) -> float:
        """When it was last seen that a job gets on (monotonic): it moved, or an item of it came to its end; while it
        waits in the line, one of any job."""
        return max(self.moved([job]), job.ended, self._active.ended if job.waits else 0.0)

    def _supervise(self, due: float, seconds: float) -> None:
        """Runs only while something is under way: an idle agent must not wake up ten times a second.

        ``due``: when it should run, ``seconds`` after the time before. Where that was long ago the sampling thread,
        too, may not have run since.
        """
        self._unfinished = {job for job in self._unfinished if not job.done}
        self._timer = None
        self._switch_often(any(not job.only_hangs for job in self._unfinished))
        if self._unfinished:
            self.check(seconds, late=time.monotonic() - due > sampling_worker.CHECK_SECONDS)
            self._supervise_later()

    def _switch_often(self, often: bool) -> None:
        if often != self._often:
            self._often = often
            sys.setswitchinterval(BUSY_SWITCH_SECONDS if often else SWITCH_SECONDS)

    def _supervise_later(self) -> None:
        seconds = sampling_worker.KNOWN_CHECK_SECONDS if self._known else sampling_worker.CHECK_SECONDS
        due = time.monotonic() + seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._supervise, due, seconds)

    def _spawn(self, worker: Worker, first: Job | None) -> None:
        worker.job = first
        worker.thread = threading.Thread(target=self._main, args=(worker,), name="cgstatd-sampler", daemon=True)
        worker.thread.start()

    def _main(self, worker: Worker) -> None:
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

    def check(self, seconds: float, *, late: bool = False) -> None:
        """Leave the active thread behind if its item hangs, and put another in its place. ``seconds``: since the look
        before."""
        worker = self._active
        job, item = worker.job, worker.item
        self._left = [w for w in self._left if w.thread is not None and w.thread.is_alive()]
        for each in self._left:
            each.look(seconds, late=late)
            self.left_moved = max(self.left_moved, each.moved)
            if each.hangs_for(sampling_worker.STUCK_SECONDS):
                self._known.note(each.file)
        worker.look(seconds, late=late)
        hangs = worker.hangs or (worker.may_hang_again and bool(self._known) and _file_of(worker) in self._known)
        if not (hangs or worker.is_slow) or len(self._left) >= MAX_THREADS:
            return
        worker.file = self._hung(worker) if hangs else ""
        if worker.hangs:
            self._known.note(worker.file)
        # A thread that computes for so long goes on beside the others: two would not do the work any sooner.
        worker.replaced = hangs and worker.item is item and isinstance(item, Again)
        worker.abandoned = True
        self.left_moved = max(self.left_moved, worker.moved)
        self.overruns += 1
        self._left.append(worker)
        if worker.replaced and job is not None and item is not None:
            job.items.appendleft(item)
        self._active = Worker()
        self._active.ended, self._active.moved = worker.ended, worker.moved
        self._spawn(self._active, job)

    def _hung(self, worker: Worker) -> str:
        file = _file_of(worker)
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
        self._switch_often(False)
        self._jobs.put(None)


def _file_of(worker: Worker) -> str:
    """The file that it waits for; empty: not known."""
    thread = None if worker.thread is None else worker.thread.native_id
    return "" if thread is None else awaited_file(thread)
