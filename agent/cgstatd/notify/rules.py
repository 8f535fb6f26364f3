"""What is worth a notification; docs/operating.md says the same for users.

* ``exit``: a container ended with another code than 0, or the kernel had killed it for want of memory. Who sent a
  signal is in no record that all runtimes keep: a container that is stopped by hand, and that SIGTERM or SIGKILL ends
  (143, 137), is told, too. An end whose code is not known may have been a 0: it is counted, not told. It was a failure
  where the agent did not run, and the engine has started the container again by itself.
* ``oom``: the kernel killed processes of a container, which lives on or whose end is told next.
* ``flapping``: its workload began to (the rule is :mod:`..feed.lives`'), told once until it has stopped to.
* ``memory``: its usage without inactive file cache reached :data:`NEAR` of its own limit. It is told again once it was
  below :data:`FAR` of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..feed.lives import FLAPPING_SECONDS, FLAPS, Lives
from ..host.identity import Identity
from ..host.workload import key_of, workload
from ..outputs.identity_json import milliseconds
from ..outputs.notification_json import EXIT, FLAPPING, MEMORY, OOM, Notification
from ..sampling.lived import OOM_KILLED, reason_of
from ..sampling.model import ContainerStats
from ..sampling.rates import memory_usage
from ..sampling.round import Changes, Ended, Killed
from .known_ends import Missed

T = TypeVar("T")
NEAR, FAR = 0.9, 0.8
_KEPT = 2000
"""Containers of which is remembered what was told."""


class Rules:
    """Used in the event loop."""

    def __init__(
        self, lives: Lives, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``now``: seconds since the epoch; ``clock``: monotonic ones."""
        self._lives = lives
        self._now, self._clock = now, clock
        self._unsure_until = 0.0
        """Before that (monotonic) a workload that is kept as flapping may still be, whatever ``lives`` has seen."""
        self._flapping: dict[str, None] = {}
        """Those that were told to flap."""
        self._near: frozenset[str] = frozenset()
        """The containers near their limit."""
        self._kills: dict[str, int] = {}
        """Of each container, how many kills were told."""
        self.unknown_ends = 0
        """Ends whose code is not known: not told."""

    @property
    def near(self) -> list[str]:
        """Ids of the containers that were told to be near their limit, and are."""
        return list(self._near)

    @property
    def flapping(self) -> list[str]:
        """Workloads that were told to flap, and do."""
        return list(self._flapping)

    def go_on(self, near: Iterable[str], flapping: Iterable[str]) -> None:
        """What an earlier run of the agent has told is not news."""
        self._near |= frozenset(near)
        self._flapping = dict.fromkeys(list(flapping)[-_KEPT:]) | self._flapping
        self._unsure_until = self._clock() + FLAPPING_SECONDS

    def missed(self, found: Iterable[Missed]) -> Iterator[Notification]:
        """What ended while the agent did not run."""
        for each in found:
            yield from self._ended(each.ended, each.times, " while the agent did not run", failed=each.failed)

    def changes(self, found: Changes) -> Iterator[Notification]:
        """What of a look is worth telling, in its order; after :class:`Lives` has heard it."""
        for ended in found.ended:
            self._kills.pop(ended.identity.id, None)
            yield from self._ended(ended)
        for identity in (*(each.identity for each in found.ended), *found.started):
            yield from self._flaps(identity)
        for killed in found.killed:
            yield from self._killed(killed)

    def _ended(self, ended: Ended, times: int = 1, when: str = "", *, failed: bool = False) -> Iterator[Notification]:
        code, identity = ended.exit_code, ended.identity
        if code is None and not ended.oom_killed and not failed:
            self.unknown_ends += times
            return
        if code == 0:
            if ended.killed is not None:
                yield from self._killed(ended.killed)
            return
        how = "with an unknown code" if code is None else f"with exit code {code}"
        if ended.signal is not None:
            how += f" (signal {ended.signal})"
        finished = ended.metadata.finished_seconds if ended.metadata else None
        yield self._of(
            identity,
            EXIT,
            f"ended {how}{when}{'; it had processes killed for want of memory' if ended.oom_killed else ''}",
            reason_of(code, ended.oom_killed),
            finished,
            exit_code=code,
            exit_code_absent=ended.absent,
            signal=ended.signal,
            signal_absent=ended.signal_absent,
            oom_killed=ended.oom_killed,
            restarts=self._lives.of(identity).restarts,
            count=times,
        )

    def _flaps(self, identity: Identity) -> Iterator[Notification]:
        lived, key = self._lives.of(identity), key_of(identity)
        if not lived.flapping:
            if self._clock() >= self._unsure_until:
                self._flapping.pop(key, None)
        elif key not in self._flapping:
            _remember(self._flapping, key, None)
            minutes = FLAPPING_SECONDS / 60
            text = f"is flapping: it came back at least {FLAPS} times within {minutes:.0f} minutes"
            last = lived.last
            yield self._of(
                identity,
                FLAPPING,
                text,
                "Flapping",
                exit_code=last.exit_code if last else None,
                exit_code_absent=last.absent if last else None,
                signal=last.signal if last else None,
                signal_absent=last.signal_absent if last else None,
                oom_killed=last.oom_killed if last else None,
                restarts=lived.restarts,
            )

    def _killed(self, killed: Killed) -> Iterator[Notification]:
        """After a pause in which no client followed, kills may be news to clients that were told here."""
        key, total = killed.identity.id, killed.total
        if total is not None and total <= self._kills.get(key, 0):
            return
        if total is not None:
            _remember(self._kills, key, total)
        last = killed.last
        yield self._of(
            killed.identity,
            OOM,
            "had processes killed for want of memory",
            OOM_KILLED,
            kills=killed.kills,
            oom_killed=True,
            memory_limit=last.memory_limit_bytes if last else None,
        )

    def memory(self, figures: Iterable[ContainerStats], mem_total: int | None) -> Iterator[Notification]:
        """The containers that came near their limit since the last call. ``mem_total``: what a container without a
        limit has as one; None: not known."""
        near = set()
        for each in figures:
            limit = each.memory_limit_bytes
            usage = memory_usage(each.memory_usage_bytes, each.inactive_file_bytes)
            if usage is None or not limit or mem_total is None or limit >= mem_total:
                continue
            before = each.identity.id in self._near
            if usage < (FAR if before else NEAR) * limit:
                continue
            near.add(each.identity.id)
            if not before:
                percent = int(100 * usage / limit)
                yield self._of(
                    each.identity,
                    MEMORY,
                    f"is at {percent} % of its memory limit",
                    "NearMemoryLimit",
                    memory_usage=usage,
                    memory_limit=limit,
                )
        self._near = frozenset(near)

    def _of(
        self, identity: Identity, kind: str, text: str, reason: str | None, when: float | None = None, **more: object
    ) -> Notification:
        return Notification(
            type=kind,
            text=f"{identity.name} {text}",
            timestamp=milliseconds(self._now() if when is None else when) or 0,
            id=identity.id,
            name=identity.name,
            workload=workload(identity),
            runtime=identity.runtime,
            owner_uid=identity.owner_uid,
            reason=reason,
            **more,  # type: ignore[arg-type]
        )


def _remember(those: dict[str, T], key: str, value: T) -> None:
    those.pop(key, None)
    while len(those) >= _KEPT:
        del those[next(iter(those))]
    those[key] = value
