"""The sampling thread's part of following: which containers are there, came or went, and the figures beyond a pass'
own."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Iterable, Mapping

from cgroupfs import CgroupGone, Vitals

from ...host.identity import Identity
from ...host.runtimes.systemd import RUNTIME as SYSTEMD
from ...sampling.container import Container
from ...sampling.history_model import Life
from ...sampling.history_work import life_of
from ...sampling.model import ContainerStats
from ...sampling.reading_failed import ReadingFailed
from ...sampling.round import Changes, Killed, Look, Round
from ...sampling.sampler import Sampler
from ...sampling.work_item import taken_out
from .ends import Ends
from .followed_container import UNWATCHED, Followed, born_seconds, has_ended, has_process, watch_first
from .limit_looks import LimitLooks
from .look_turns import LookTurns
from .runtime_records import Records
from .unseen_lives import UnseenLives


class RoundWork:
    """Used in the sampling thread. A second thread finds it busy and does without."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._listed_ns = 0
        """CLOCK_MONOTONIC before the containers were listed last."""
        self._turns = LookTurns(self._release)
        self._limits = LimitLooks()
        self._followed: dict[Container, Followed] = {}
        self._emptied: dict[Container, int | None] = {}
        """Their ends were told, and their cgroups are still there, without a process: how many OOM kills were told or
        had been there before. The next life in the same cgroup goes on counting from there."""
        self._begun = False
        self._deaths: deque[tuple[Container, int]] = deque()
        """First processes that died, and their pidfds: from the event loop."""
        self._pidfds: deque[tuple[Container, int]] = deque()
        """First processes whose death is to be noticed, and their pidfds: for the event loop."""
        self.all_armed = False
        """Whether every container's death will be noticed at once."""
        # The processes of a recorded tree are none of this host's.
        self._live = sampler.root.live
        self._records = Records(sampler.root, sampler.names, notice=self._live)
        self._ends = Ends(self._records, live=self._live)
        self._unseen = UnseenLives(sampler.names)

    @property
    def records_fd(self) -> int | None:
        """Readable when a runtime has written something about a container that is about to end; None: never."""
        return self._records.fd

    @property
    def waiting(self) -> bool:
        """Whether an end is held back until its runtime has told it."""
        return self._ends.waiting or self._unseen.waiting

    def died(self, container: Container, fd: int) -> None:
        """The container's first process has died; takes over the pidfd. Called in the event loop."""
        self._deaths.append((container, fd))

    def pidfds(self) -> list[tuple[Container, int]]:
        """Descriptors that became necessary since the last call: readable when a container's first process dies.

        The caller owns them. Called in the event loop.
        """
        return list(taken_out(self._pidfds))

    def changes(self) -> list[Changes]:
        """What happened since the last call, in order. Called in the event loop.

        Neither these nor the pidfds go with a round: one that hung comes too late, and is dropped with its figures.
        """
        return self._turns.changes()

    @property
    def cost_seconds(self) -> float:
        """CPU time of the latest look."""
        return self._turns.cost_seconds

    def take(
        self, stats: Mapping[str, ContainerStats], unread: frozenset[Container] | None = frozenset()
    ) -> Round | None:
        """The round that goes with a pass' figures (by id); None: an earlier one still hangs. Raises ListingFailed.

        ``unread``: the containers that the pass has not read; None: it has not even listed them.
        """
        with self._turns.turn() as changes:
            if changes is None:
                return None
            round_ = Round(mem_total_bytes=self._sampler.host.mem_total(), cores=self._sampler.host.cores())
            self._dead()
            before, self._listed_ns = self._listed_ns, time.monotonic_ns()
            listed = self._sampler.containers()
            self._unseen.came_and_went(self._sampler.registry.unseen() if self._begun else ())
            self._limits.begin(len(listed), self._listed_ns - before)
            self._compare(listed, changes)
            for container in filter(self._followed.__contains__, listed):
                figures = stats.get(container.identity.id)
                last = container.last  # None: it came back under the same id after the pass
                if figures is not None and last is not None and figures.monotonic_ns <= last.monotonic_ns:
                    self._look(container, figures, round_, changes)
                elif unread is None or container in unread:
                    round_.late.append(container.identity.id)
            self._arm()
            self._bury(changes)
            return round_

    def between(self, *, all_containers: bool) -> None:
        """Between two rounds: the kills and peaks of containers whose first process has died, and the ends that became
        known.

        ``all_containers``: of all containers; that is cheap, and often comes before the cgroup is removed.
        """
        with self._turns.turn() as changes:
            if changes is None:
                return
            dead = self._dead()
            self._kills(list(self._followed.items()) if all_containers else dead, changes)
            if all_containers:
                self._arm()
            self._bury(changes)

    def counted(self, kills: Mapping[Life, int]) -> None:
        """OOM kills that another reading has counted, of containers that live on."""
        with self._turns.turn() as changes:
            if changes is None:
                return
            for container, known in self._followed.items():
                total = kills.get(life_of(container), 0)
                if total > (known.oom_kills or 0):  # else the reading is older than the latest look
                    known.saw(known.vitals._replace(oom_kills=total))
                    self._oom(container, known, changes)

    def rest(self) -> None:
        """No client follows: count the kills so far, and keep no figure and no open file."""
        with self._turns.turn() as changes:
            if changes is None:
                return
            self._kills(list(self._followed.items()), changes)
            for container, known in self._followed.items():
                container.forget_vitals()
                known.last = None

    def _dead(self) -> list[tuple[Container, Followed]]:
        """The containers whose first process has died since the last look. From now on their records are watched."""
        found = []
        while self._deaths:
            container, fd = self._deaths.popleft()
            known = self._followed.get(container)
            if known is None:
                if (known := self._ends.known(container)) is None:
                    container.descriptors.close(fd)
                else:
                    known.died(fd)
                continue
            known.died(fd)
            self.all_armed = False  # another process is to be watched if others live on
            self._ends.expect(container, known)
            found.append((container, known))
        self._ends.hear()
        return found

    def _kills(self, those: Iterable[tuple[Container, Followed]], changes: Changes) -> None:
        for container, known in those:
            try:
                known.saw(container.vitals(known.vitals))
            except (CgroupGone, OSError):
                continue
            except ReadingFailed as error:
                self._sampler.failed(container, error)
                continue
            self._oom(container, known, changes)

    def _bury(self, changes: Changes) -> None:
        self._ends.bury({each.identity.id: known.seen_seconds for each, known in self._followed.items()}, changes)
        self._kills_first(changes)
        self._unseen.told(changes.ended)
        if self._unseen.waiting:  # a record may be that of a life that was seen, and whose end is not told yet
            seen = {each.ref.match.id for each in (*self._followed, *self._ends.held_back())}
            self._turns.behind += self._unseen.look(seen)

    @staticmethod
    def _kills_first(changes: Changes) -> None:
        """A kill that was counted in the look that tells the end goes with the end, which it came before."""
        for place, ended in enumerate(changes.ended):
            mine = next((each for each in changes.killed if each.life == ended.life), None)
            if mine is not None and ended.killed is None and ended.life not in changes.begun:
                changes.killed.remove(mine)
                changes.ended[place] = ended._replace(killed=mine)

    def _compare(self, listed: list[Container], changes: Changes) -> None:
        here = set(listed)
        self._find_emptied(here, changes)
        for container in listed:
            if container in self._followed or (container in self._emptied and not has_process(container)):
                continue
            known = self._new(container)
            if container in self._emptied:  # it lives again
                known.oom_kills = self._emptied.pop(container)
                container.over = False
            if self._begun:
                changes.started.append(self._started(container, known))
                changes.begun.append(life_of(container))
            elif container.identity.metadata is not None:
                self._records.take(container, known, container.identity.metadata)
            self._followed[container] = known  # now: if its files hang, another thread begins with it anew
        self._begun = True
        for gone in self._followed.keys() - here:
            self._ends.gone(gone, self._followed.pop(gone))

    def _find_emptied(self, here: set[Container], changes: Changes) -> None:
        """Those that have ended while their cgroups stayed."""
        for container in self._emptied.keys() - here:
            del self._emptied[container]
        for container in here & self._followed.keys():
            known = self._followed[container]
            if has_ended(container, known):
                self._kills([(container, known)], changes)  # nobody looks at it again
                self._ends.gone(container, self._followed.pop(container))
                self._emptied[container] = known.oom_kills
                container.over = True

    def _new(self, container: Container) -> Followed:
        """Of a container made since the first look even the first count of kills is news."""
        born, service = born_seconds(self._sampler.root, container), container.identity.runtime == SYSTEMD
        return Followed(born, 0 if self._begun else None, container.descriptors, service=service)

    def _started(self, container: Container, known: Followed) -> Identity:
        """Its identity without what its runtime's record still says of the life before."""
        found = self._records.hear(container, known)
        if found is not None and known.life.started_seconds is None:
            found = dataclasses.replace(
                found, started_seconds=None, finished_seconds=None, exit_code=None, oom_killed=None, pid=None
            )
        return container.identity if found is None else container.identity._replace(metadata=found)

    def _look(self, container: Container, stats: ContainerStats, round_: Round, changes: Changes) -> None:
        known = self._followed[container]
        try:
            known.saw(container.vitals())
            self._limits.refresh(container, known, time.monotonic_ns())
        except (CgroupGone, OSError):  # gone, or it left a tree: no file of it is kept open
            container.forget_vitals()
        except ReadingFailed as error:
            self._sampler.failed(container, error)
        recorded = container.identity.metadata is not None  # else the listing looks for it, ever less often
        if recorded and known.life.started_seconds is None and not known.silent:
            self._records.hear(container, known)
        self._oom(container, known, changes)
        known.last = Look(container, stats, known.vitals, known.limits)
        round_.looks.append(known.last)

    def _arm(self) -> None:
        """Have the deaths noticed of first processes that are not watched yet; of a container that lives on without its
        first, another process' death."""
        if not self._live:
            return
        now = time.monotonic_ns()
        for container, known in list(self._followed.items()):
            if known.armed or now < known.arm_again_ns:
                continue
            found = watch_first(self._sampler.root, container, known.life.pid)
            if isinstance(found, str):
                known.unwatched = found == UNWATCHED
                self._ends.expect(container, known)
                known.arm_later(now)
                continue
            known.watch(found)
            self._pidfds.append((container, found.fd))
            self._ends.lives_on(container)
        self.all_armed = all(known.armed for known in self._followed.values())

    @staticmethod
    def _oom(container: Container, known: Followed, changes: Changes) -> None:
        vitals: Vitals = known.vitals
        total, before = vitals.oom_kills, known.oom_kills
        if total is None:
            return
        known.oom_kills, known.oom_final = total, known.dead
        if before is not None and total > before:
            known.oom_told = True
            life = life_of(container)
            changes.killed.append(Killed(container.identity, total - before, total, vitals, container.last, life))

    def close(self) -> None:
        """Release what is open, for good. If a hung thread still looks, that thread does it."""
        self._turns.close()

    def _release(self) -> None:
        for container, fd in (pair for each in (self._deaths, self._pidfds) for pair in taken_out(each)):
            container.descriptors.close(fd)
        for container, known in list(self._followed.items()):  # a thread that was left behind may be in a step still
            container.forget_vitals()
            known.release()
        self._followed.clear()
        self._ends.close()
        self._records.close()
