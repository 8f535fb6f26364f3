"""Containers that are about to end or whose cgroup is gone: held until their end is known, or known to be lost."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...host.runtimes.base import Metadata
from ...sampling.container import Container
from ...sampling.round import Changes, Ended, Killed, Look
from .followed_container import Followed
from .runtime_records import Records, tells_ends

DYING_NS = 2_000_000_000
"""How long an end is held back until its runtime has written how it ended."""
OVERWRITTEN = "it was started again before its runtime's record of the end could be read"
NOT_WRITTEN = f"its runtime had not written it {DYING_NS // 1_000_000_000} s after the end"
UNKNOWN = "its runtime's state does not know it any more"
SILENT = "its runtime does not write it into its state"


class Ends:
    """Used in the sampling thread."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._expected: dict[Container, Followed] = {}
        """Their first process is dead or was never seen, and their cgroup is still there."""
        self._dying: dict[Container, Followed] = {}
        """Their cgroup is gone."""

    @property
    def waiting(self) -> bool:
        """Whether an end is held back."""
        return bool(self._dying)

    def held_back(self) -> Mapping[Container, Followed]:
        """The containers that are gone, and whose ends are not told yet."""
        return self._dying

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
            if known.life.end is None and why is None:
                continue
            del self._dying[container]
            self._records.forget(container)
            changes.ended.append(self._ended(container, known, why))
            known.release()

    def _ended(self, container: Container, known: Followed, why: str | None) -> Ended:
        life, identity = known.life, container.identity
        end = life.end
        if end is not None:
            identity = identity._replace(metadata=end)
            code, why, oom_killed = end.exit_code, None, end.oom_killed
        else:
            code = self._records.exit_code(container, known)
            code = known.kernels_exit_code() if code is None else code
            oom_killed = None if known.vitals.oom_kills is None else known.oom_told
        last = known.last
        if last is not None:  # the counter may have been read after the last round
            last = last._replace(vitals=known.vitals)
        elif container.last is not None:
            last = Look(container, container.last, known.vitals, known.limits)
        untold = oom_killed and not known.oom_told
        return Ended(
            identity,
            last,
            end,
            code,
            None if code is not None else why,
            oom_killed,
            life.started_seconds,
            Killed(identity, None, None, known.vitals, container.last) if untold else None,
        )

    def close(self) -> None:
        """Release what is kept open."""
        for known in [*self._expected.values(), *self._dying.values()]:
            known.release()
        self._expected.clear()
        self._dying.clear()


def _why_not(known: Followed, record: Metadata | None, now_ns: int, *, came_back: bool) -> str | None:
    """Why the runtime's record will not tell this end; None: it may still."""
    if known.life.overwritten or came_back:
        return OVERWRITTEN
    if record is None:
        return UNKNOWN
    if known.silent or not tells_ends(record):
        return SILENT
    return NOT_WRITTEN if now_ns - (known.dead_ns or 0) >= DYING_NS else None
