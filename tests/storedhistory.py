"""Rounds on disk whose every figure follows from their time: what is read back can be judged by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from cgstatd.feed.history.disk import Disk, Files
from cgstatd.feed.history.memory import Memory
from cgstatd.feed.history.reading import History
from cgstatd.feed.history.store import Store
from cgstatd.feed.shared_passes import Feed
from cgstatd.sampling.history_model import ContainerSample, HostSample, Life, Subject, Taken
from cgstatd.sampling.history_work import Clocks

INTERVAL = 10
BOOT = "0123456789ab"
BEGAN_MS = 1_795_614_870_000
KEEP = 604_800.0


def life(place: int, uid: int = 0) -> Life:
    """A container."""
    return Life(uid, "docker", f"{place:064x}", 1000 + place)


def subject(place: int) -> Subject:
    """What it is called."""
    return Subject(f"name-{place}", "registry.example.org/some/image:1", "project")


def sample(second: int, place: int) -> ContainerSample:
    """Its figures: of the second since the host was booted, and of no other one."""
    own = second * 1_000 + place
    return ContainerSample(
        second * 1_000_000_000 + place, 0, own * 7_919, own * 4096, own, 1 << 33, own * 3, own * 5,
        4_026_531_840 + place, own * 512, own * 1024, place + second % 7, 0, own * 8192,
        second * 1_000_000_000 + place + 1, second * 1_000_000_000 + place + 2,
        own % 997, own * 9, own * 10, own * 11, own * 12, None, own * 14,
    )  # fmt: skip


def host(second: int, containers: int) -> HostSample:
    """The host's."""
    return HostSample(
        second * 31, second * 200, 2, 1 << 34, (1 << 33) - second, 1 << 30, second, second % 500, containers
    )


class Agent:
    """One run of the agent, without a host: its memory, its files."""

    def __init__(
        self,
        directory: Path,
        second: int,
        name: str,
        *,
        containers: int = 5,
        boot: str = BOOT,
        keep: float = KEEP,
        most: int = 64 << 20,
        rounds: int = 360,
        wall_ms: int = 0,
    ) -> None:
        """``second``: since the host was booted; ``wall_ms``: how far the clock is set wrong."""
        self.second, self.containers, self.wall_ms = second, containers, wall_ms
        self.memory = Memory(rounds, INTERVAL, name=name, boot=boot)
        self.memory.began_ns = second * 1_000_000_000
        self.store = Store(str(directory), keep, most, self.memory)
        self.keep_on(self.store)
        self.began = second
        self._before = set[Life]()
        self.owner: Callable[[int], int] = lambda _: 0
        self.places: Callable[[], Sequence[int]] = lambda: range(self.containers)

    def keep_on(self, files: Files) -> None:
        """These are its files."""
        self.disk = Disk(self.memory, files, self.now)
        self.history = History(cast(Feed, None), self.memory, self.now, self.disk)  # no reading of now is asked for

    def now(self) -> Clocks:
        """The clocks."""
        return Clocks(BEGAN_MS + self.second * 1000 + self.wall_ms, self.second * 10**9, self.second * 10**9)

    def round(self) -> int:
        """A round; its number."""
        number = (self.second - self.began) // INTERVAL
        lives = {life(place, self.owner(place)): place for place in self.places()}
        taken = Taken(
            *self.now(),
            host(self.second, len(lives)),
            {each: subject(place) for each, place in lives.items()},
            {each: sample(self.second, place) for each, place in lives.items()},
            list(self._before - lives.keys()),
        )
        self._before = set(lives)
        self.memory.add(number, taken, 0)
        self.second += INTERVAL
        return number

    def minutes(self, count: int) -> None:
        """Rounds, which are stored once a minute."""
        for _ in range(count):
            for _ in range(6):
                self.round()
            self.write()

    def write(self) -> None:
        """Store what is new, at once."""
        self.store.write()

    def kill(self) -> None:
        """As kill -9 leaves it: nothing is written any more."""
        self.store._close_files()
        self.store._files.leave()


async def everything(agent: Agent, cursor: str = "", limit: int = 1000) -> tuple[list[dict[str, Any]], bool]:
    """Every round behind a cursor, page by page, and whether any page says that rounds are lost."""
    found: list[dict[str, Any]] = []
    lost = False
    while True:
        place = agent.history.after(cursor)
        assert place is not None
        head, *rounds = [msgspec.json.decode(line) for line in await agent.history.page(*place, limit)]
        lost |= head["truncated"]
        found += rounds
        if not rounds:
            return found, lost
        cursor = rounds[-1]["cursor"]


def seconds(rounds: Sequence[dict[str, Any]]) -> list[int]:
    """When each was, each figure of it judged by that."""
    return [judged(each) for each in rounds]


def judged(line: dict[str, Any]) -> int:
    """The second of a round, all of whose figures are those of that second."""
    second: int = line["boottimeNsec"] // 10**9
    assert line["monotonicNsec"] == second * 10**9
    assert (line["host"]["cpuBusyTicks"], line["host"]["swapFree"]) == (second * 31, second)
    for each in line["containers"]:
        place = int(each["id"], 16)
        expected = sample(second, place)
        assert each["name"] == f"name-{place}"
        assert each["monotonicNsec"] == expected.monotonic_ns and each["cpuUsageNsec"] == expected.cpu_usage_nsec
        assert each["memoryRaw"] == expected.memory_usage_bytes and each["blockWrite"] == expected.block_write_bytes
        assert each["networkMonotonicNsec"] == expected.network_ns and each["blockMonotonicNsec"] == expected.block_ns
        assert each["networkRx"] == expected.network_rx_bytes and each["pids"] == expected.pids
    return second


class Running:
    """The disk's thread of an agent, within."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    async def __aenter__(self) -> Agent:
        self.agent.disk.start()
        if self.agent.disk._task is not None:
            self.agent.disk._task.cancel()  # a test says when rounds are stored
        await self.agent.disk.ready()
        return self.agent

    async def __aexit__(self, *_: object) -> None:
        await self.agent.disk.stop()
