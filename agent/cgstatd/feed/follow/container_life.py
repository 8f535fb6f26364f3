"""Which of a runtime's records speak of one life of a container: from its cgroup's making to its removal.

A runtime has one record for a container and overwrites it: with a restart policy the record of an end is there for some
0.3 s (Docker 26.1, Podman 5.4; a start, running, an end: three records a life). The time of the start names a life. All
runtimes that restart containers write an end before they make the cgroup of the next life, and the start after that. So
a start that is not before the cgroup's making is this life's or a later one's. It is a later one's if its own cgroup
was seen, if another start was heard before, or if more restarts were counted than one life can have. The kernel may
date a cgroup too late (when it reads the directory's inode anew); then the first process tells.
"""

from __future__ import annotations

from collections.abc import Callable

from ...host.runtimes.base import ExitCode, Metadata, State

_RUNNING = (State.RUNNING, State.PAUSED)
_ENDED = (State.EXITED, State.RESTARTING)


class Life:
    """Hears records in their order. Times are seconds since the epoch."""

    __slots__ = ("_restarts", "born_seconds", "end", "overwritten", "pid", "restarts", "started_seconds")

    def __init__(self, born_seconds: float) -> None:
        """``born_seconds``: when its cgroup was made, or a little later."""
        self.born_seconds = born_seconds
        self.started_seconds: float | None = None
        """The start by which the runtime names this life; None: not heard yet."""
        self.pid: int | None = None
        """The first process, where the runtime says."""
        self.restarts: int | None = None
        """How many restarts were counted when it ran."""
        self.end: Metadata | None = None
        """The record of this life's end."""
        self.overwritten = False
        """A later life's record was heard: the runtime cannot tell this life's end any more."""
        self._restarts: int | None = None
        """How many restarts the record of the life before had counted."""

    def hear(self, found: Metadata, holds: Callable[[int], bool], before_seconds: float | None = None) -> None:
        """Take one record, in the order of their writing; the same one may come again.

        ``holds``: whether the cgroup has a process. ``before_seconds``: when the cgroup of a later life was seen first.
        """
        start = found.started_seconds
        if start is None or self.end is not None or self.overwritten:
            return
        if self.started_seconds is None:
            self._recognise(found, start, holds, before_seconds)
        if self.started_seconds is None:
            return
        if start == self.started_seconds:
            if found.state in _RUNNING:
                self.pid, self.restarts = found.pid, found.restarts
            elif found.state in _ENDED and found.exit_code is not None:
                self.end = found
        elif start > self.started_seconds:
            self.overwritten = True

    def kept_code(self, kept: ExitCode, record: Metadata | None, runs: Callable[[int], bool]) -> int | None:
        """This life's exit code, where the runtime keeps that of the latest end apart from its record and beyond the
        next start; None: it may be another life's.

        ``record``: what there is of the container now; None: it was removed. ``runs``: whether there is a process;
        asked last, so that what was read before cannot be about its end.
        """
        if self.started_seconds is None or kept.recorded_seconds < int(self.started_seconds):
            return None
        if record is None:
            return None if self.overwritten else kept.code
        if self.restarts is None or record.restarts != self.restarts + 1:
            return None
        start = record.started_seconds
        if start is None or start == self.started_seconds or kept.recorded_seconds < int(start):
            return kept.code
        if kept.recorded_seconds > int(start) or record.state not in _RUNNING or record.pid is None:
            return None
        return kept.code if runs(record.pid) else None

    def _recognise(
        self, found: Metadata, start: float, holds: Callable[[int], bool], before_seconds: float | None
    ) -> None:
        running = found.state in _RUNNING
        if start < self.born_seconds and not (running and found.pid is not None and holds(found.pid)):
            if found.state in _ENDED:
                self._restarts = found.restarts or 0
            return
        restarted = self._restarts is not None and (found.restarts or 0) > self._restarts + (not running)
        if restarted or (before_seconds is not None and start >= before_seconds):
            self.overwritten = True
        else:
            self.started_seconds = start
