"""An hour that has gone by when the page is opened: a history filled by hand, with gaps, ends and OOM kills."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from cgroupfs import Vitals
from cgstatd.feed.history.gaps import Gap
from cgstatd.feed.history.memory import Memory
from cgstatd.feed.history.reading import History
from cgstatd.host.identity import Identity
from cgstatd.sampling.history_model import ContainerSample, HostSample, Life, Subject, Taken
from cgstatd.sampling.history_work import Clocks, HistoryWork, clocks
from cgstatd.sampling.pressure.found import Found, Waiting
from cgstatd.sampling.round import Changes, Ended, Killed
from cgstatd.service.composition import Composition

ROUNDS = 360
INTERVAL = 10.0
SECOND = 1_000_000_000
SHIFT = 36_000 * SECOND
"""The clocks of the history are ahead of the machine's: that may not have been up for an hour."""
GONE = "dead" * 16
"""The id of a container that is no longer there."""
LONG_GONE = "beef" * 16
"""The same of one that ended half an hour ago."""


def ahead() -> Clocks:
    """Now."""
    now = clocks()
    return Clocks(now.time_ms, now.monotonic_ns + SHIFT, now.boottime_ns + SHIFT)


@dataclass(frozen=True)
class Story:
    """What one life was like: rounds are counted from the beginning of the hour."""

    life: Life
    name: str
    first: int = 0
    last: int = ROUNDS - 1
    cores: float = 0.2
    memory: int = 40 << 20
    oom: int | None = None
    kills: int = 1
    exit_code: int | None = None
    waits: range | None = None
    """It waits for the disk, for others."""
    unhealthy: int | None = None

    @property
    def identity(self) -> Identity:
        """As the watch tells it."""
        return Identity(self.life.id, self.name, self.life.runtime, self.life.owner_uid, None)

    def ended(self) -> Ended:
        """Its end."""
        return Ended(
            self.identity, None, None, self.exit_code, None, None, None, self.oom is not None, None, None, self.life
        )

    def sample(self, number: int, at: Clocks) -> ContainerSample:
        """Its counters in a round."""
        seconds = (number - self.first) * INTERVAL
        busy = self.cores * (seconds + 60 * math.sin(seconds / 60) * 0.8)
        traffic = int(40_000 * seconds)
        memory = int(self.memory * (1 + 0.3 * math.sin(seconds / 200)))
        killed = self.kills if self.oom is not None and number >= self.oom else 0
        return ContainerSample(
            at.monotonic_ns, 0, int(busy * SECOND), memory, 0, None, traffic, traffic // 3, 7,
            int(9000 * seconds), int(3000 * seconds), 3, killed, memory,
        )  # fmt: skip


@dataclass
class Lived:
    """Fills the history of an application; ``stories`` by name, of the containers that are there and of others."""

    asleep: range = range(100, 130)
    gone: bool = True
    memory: Memory = field(init=False)
    stories: dict[str, Story] = field(default_factory=dict)

    def __call__(self, agent: Composition) -> None:
        feed, agent.recorder = agent.feed, None  # nothing but what a test adds
        self.memory = Memory(ROUNDS, INTERVAL)
        agent.parts = replace(agent.parts, history=History(feed, self.memory, ahead))
        for life, subject in HistoryWork(feed.sampler).take().listed.items():
            self.stories[subject.name] = Story(life, subject.name)
        self._happen()
        now = ahead()
        self.memory.began_ns = now.monotonic_ns - int(ROUNDS * INTERVAL * SECOND)
        for number in range(ROUNDS):
            if number not in self.asleep:
                gap = Gap.ASLEEP if number - 1 in self.asleep else Gap.NONE
                self.add(number, self._at(number, now), gap)

    def _happen(self) -> None:
        found = self.stories
        if "web-1" in found:
            found["web-1"] = replace(found["web-1"], cores=0.6, oom=200)
        if "queue" in found:
            found["queue"] = replace(found["queue"], waits=range(200, 207), unhealthy=210)
        if "web-2" in found:
            now = found["web-2"]
            found["web-2 before"] = replace(now, life=now.life._replace(inode=1), last=249, exit_code=3)
            found["web-2"] = replace(now, first=251, cores=0.4)
        if self.gone:
            life = Life(0, "docker", GONE, 2)
            found["gone"] = Story(life, "gone", first=20, last=309, oom=309, exit_code=137, memory=100 << 20)
            found["long gone"] = Story(Life(0, "docker", LONG_GONE, 3), "long gone", last=179, exit_code=0)

    @staticmethod
    def _at(number: int, now: Clocks) -> Clocks:
        before_ns = int((ROUNDS - number) * INTERVAL * SECOND)
        return Clocks(now.time_ms - before_ns // 1_000_000, now.monotonic_ns - before_ns, now.boottime_ns - before_ns)

    def add(self, number: int, at: Clocks, gap: Gap = Gap.NONE) -> None:
        """A round."""
        living = [each for each in self.stories.values() if each.first <= number <= each.last]
        ended = [each for each in self.stories.values() if each.last == number - 1]
        begun = [each for each in living if each.first == number > 0]
        killed = [each for each in living if each.oom == number]
        self.memory.hear(
            Changes(
                [each.ended() for each in ended],
                [each.identity for each in begun],
                [each.life for each in begun],
                [
                    Killed(each.identity, each.kills, each.kills, Vitals(None, None, None), None, each.life)
                    for each in killed
                ],
            ),
            at.time_ms,
        )
        host = HostSample(number, 4 * number, 4, 4 << 30, 2 << 30, 0, 0, 50, len(living))
        listed = {each.life: Subject(each.name, "lab/busybox:1", None) for each in living}
        samples = {each.life: each.sample(number, at) for each in living}
        waits = [
            (Waiting(each.life, "io", "neighbours"), None) for each in living if each.waits and number in each.waits
        ]
        self.memory.looked(Found(waits, 1.5, 15.5, at.monotonic_ns, at.time_ms))
        checks = [(each, each.unhealthy) for each in living if each.unhealthy is not None]
        self.memory.checked(
            [(each.life, "healthy" if number < since else "unhealthy") for each, since in checks], at.time_ms
        )
        self.memory.add(number, Taken(*at, host, listed, samples, [each.life for each in ended]), gap)
