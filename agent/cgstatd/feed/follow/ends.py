"""Containers that are about to end or whose cgroup is gone: held until their end is known, or known to be lost.

How a container ended is its runtime's record of this life, else the kernel's word about its first process. What neither
tells is absent, with the reasons of both.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from ...host.pidfd import Exit, Untold
from ...host.runtimes.base import Metadata
from ...sampling.container import Container
from ...sampling.history_work import life_of
from ...sampling.lived import ambiguous
from ...sampling.round import Changes, Ended, Killed, Look
from .followed_container import UNSEEN, UNWATCHED, Followed
from .runtime_records import Records, tells_ends

DYING_NS = 2_000_000_000
"""How long an end is held back until its runtime has written how it ended."""
OVERWRITTEN = "it was started again before its runtime's record of the end could be read"
NOT_WRITTEN = f"its runtime had not written it {DYING_NS // 1_000_000_000} s after the end"
UNKNOWN = "its runtime's state does not know it any more"
SILENT = "its runtime does not write it into its state"


class Ends:
    """Used in the sampling thread."""

    def __init__(self, records: Records, *, live: bool = False) -> None:
        """``live``: the kernel that runs the containers is the one that is asked how they ended."""
        self._records = records
        self._live = live
        self._expected: dict[Container, Followed] = {}
        """Their first process is dead or was never seen, and their cgroup is still there."""
        self._dying: dict[Container, Followed] = {}
        """Their cgroup is gone."""

    @property
    def waiting(self) -> bool:
        """Whether an end is held back."""
        return bool(self._dying)

    def held_back(self) -> Collection[Container]:
        """The containers that are gone, and whose ends are not told yet."""
        return self._dying.keys()

    def known(self, container: Container) -> Followed | None:
        """What is known of a container whose cgroup is gone; None: its end was told."""
        return self._dying.get(container)

    def expect(self, container: Container, known: Followed) -> None:
        """Its first process has died, or its death will not be noticed. Its runtime will write how it ended."""
        if container not in self._expected:
            self._expected[container] = known
            self._records.watch(container, known)
            self._records.hear(container, known)

    def lives_on(self, container: Container) -> None:
        """It was not the end: other processes are there."""
        if self._expected.pop(container, None) is not None:
            self._records.forget(container)

    def gone(self, container: Container, known: Followed) -> None:
        """Its cgroup is gone."""
        self._expected.pop(container, None)
        self._dying[container] = known
        known.dead_ns = time.monotonic_ns()
        known.died_seconds = known.died_seconds or time.time()
        if known.life.end is None:
            self._records.watch(container, known)

    def hear(self) -> None:
        """Read the records that were written since the last look, of those whose end is not known yet."""
        written = self._records.written()
        for container, known in self._expected.items():
            if known.life.end is None and (written is None or container in written):
                self._records.hear(container, known)

    def bury(self, again: Mapping[str, float], changes: Changes) -> None:
        """Report the ends that are known, or that no record will tell any more.

        ``again``: the containers that have a cgroup now, and when each was first seen (seconds since the epoch).
        """
        now = time.monotonic_ns()
        for container, known in list(self._dying.items()):
            before = again.get(container.identity.id)
            record = known.life.end or self._records.hear(container, known, before)
            why = _why_not(known, record, now, came_back=before is not None)
            if known.life.end is None and (why is None or (before is None and _will_be_told(known, now))):
                continue
            del self._dying[container]
            self._records.forget(container)
            changes.ended.append(self._ended(container, known, why))
            known.release()

    def _ended(self, container: Container, known: Followed, why: str | None) -> Ended:
        life, identity = known.life, container.identity
        end, kernel = life.end, known.kernels_word()
        if end is not None:
            identity = identity._replace(metadata=end)
            code, oom_killed = end.exit_code, end.oom_killed
        else:
            code = kernel.code if isinstance(kernel, Exit) else self._records.exit_code(container, known)
            oom_killed = True if known.oom_told else False if known.oom_final else None
        last = known.last
        if last is not None:  # the counter may have been read after the last round
            last = last._replace(vitals=known.counted)
        elif container.last is not None:
            last = Look(container, container.last, known.counted, known.limits)
        untold = oom_killed and not known.oom_told
        return Ended(
            identity,
            last,
            end,
            code,
            None if code is not None else self._absent(why, known, kernel),
            *_signal(code, kernel),
            oom_killed,
            life.started_seconds,
            Killed(identity, None, None, known.counted, container.last, life_of(container)) if untold else None,
            life_of(container),
            known.died_seconds,
            begun=known.begun,
        )

    def _absent(self, why: str | None, known: Followed, kernel: Exit | Untold | None) -> str:
        """Why neither the runtime nor the kernel tells the exit code."""
        reason = why or UNKNOWN
        if not self._live:
            return reason
        if isinstance(kernel, Untold):
            return f"{reason}; {kernel.value}"
        return f"{reason}; {UNWATCHED if known.unwatched else UNSEEN}"

    def close(self) -> None:
        """Release what is kept open."""
        for known in [*self._expected.values(), *self._dying.values()]:
            known.release()
        self._expected.clear()
        self._dying.clear()


def _will_be_told(known: Followed, now_ns: int) -> bool:
    """Whether the kernel may still tell the end: its first process has not been waited for."""
    return known.kernels_word() is Untold.NOT_YET and now_ns - (known.dead_ns or 0) < DYING_NS


def _signal(code: int | None, kernel: Exit | Untold | None) -> tuple[int | None, str | None]:
    """The signal that ended the first process, and why it is not known where it is not."""
    if code is None:
        return None, None
    if isinstance(kernel, Exit) and kernel.code == code:
        return kernel.signal, None
    return None, ambiguous(code)


def _why_not(known: Followed, record: Metadata | None, now_ns: int, *, came_back: bool) -> str | None:
    """Why the runtime's record will not tell this end; None: it may still."""
    if known.life.overwritten or came_back:
        return OVERWRITTEN
    if record is None:
        return UNKNOWN
    if known.silent or not tells_ends(record):
        return SILENT
    return NOT_WRITTEN if now_ns - (known.dead_ns or 0) >= DYING_NS else None
