"""What an hour of the history costs: to take a round, to hold it, to read it back, and a minute of it on disk.

    python tools/history/store_costs.py [-n 100,1000] [--hours 1] [--disk DIR]

Containers are made up, no cgroup is read: of those that work every counter moves with every round, of those that are
idle none does. Prints a line for each number and kind: CPU time a round, what the store says that it takes and by how
much the process grew, CPU time of one container and of the host in steps of a round, of the lines of all containers,
and of every round as `/api/history` answers; with ``--disk`` also the CPU time to store a minute, the bytes an hour
takes, and the same reads from the file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import cast

from cgstatd.feed.history.disk import Disk
from cgstatd.feed.history.in_steps import ContainerSteps
from cgstatd.feed.history.memory import Memory
from cgstatd.feed.history.reading import History
from cgstatd.feed.history.steps_reading import Asked
from cgstatd.feed.history.store import Store
from cgstatd.feed.shared_passes import Feed
from cgstatd.sampling.history_model import ContainerSample, HostSample, Life, Subject, Taken
from cgstatd.sampling.history_work import Clocks

SECOND = 1_000_000_000
BEGAN_MS = 1_795_614_870_000
FIGURES = ("cpuPercent", "memoryUsage")


class Host:
    """Containers, and a clock that goes on by ten seconds a round."""

    def __init__(self, count: int, *, busy: bool) -> None:
        self.busy, self.number = busy, 0
        self.lives = [Life(0, "docker", f"{place:064x}", 4_294_967_296 + place) for place in range(count)]
        self._listed = {life: Subject(f"name-{life.id[-4:]}", "registry/image:1", "shop") for life in self.lives}

    def now(self) -> Clocks:
        """The clocks."""
        passed = self.number * 10
        return Clocks(BEGAN_MS + passed * 1000, (180_000 + passed) * SECOND, (180_000 + passed) * SECOND)

    def round(self) -> Taken:
        """The next one."""
        self.number += 1
        now, moved = self.now(), self.number if self.busy else 0
        samples = {life: self._sample(place, now.monotonic_ns, moved) for place, life in enumerate(self.lives)}
        host = HostSample(self.number * 300, self.number * 2000, 2, 1 << 34, 1 << 33, 1 << 30, 5, 50, len(self.lives))
        return Taken(*now, host, self._listed, samples, [])

    @staticmethod
    def _sample(place: int, clock_ns: int, moved: int) -> ContainerSample:
        grown = moved * (100_003 + place)
        at = clock_ns + place * 150_000
        return ContainerSample(
            at, 0, 10**13 + grown * 1009, (1 << 28) + grown * 7, (1 << 22) + grown, 8 << 30, 10**9 + grown * 3,
            10**9 + grown * 5, 4_026_531_840 + place, 10**9 + grown * 11, 10**9 + grown * 13, 5 + moved % 9, 0,
            (1 << 29) + grown * 9, at + 90_000, at + 50_000,
        )  # fmt: skip


def resident() -> float:
    """Megabytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def cpu_ms(call: Callable[[], Awaitable[object]]) -> float:
    """CPU time of this process: the best of three."""
    took = []
    for _ in range(3):
        began = time.process_time()
        await call()
        took.append((time.process_time() - began) * 1000)
    return min(took)


async def reads(history: History, life: Life, since: int | None) -> dict[str, float]:
    """CPU time of each kind of answer."""
    asked = Asked(since, None, 10.0)

    async def container() -> None:
        await history.steps.filled(asked, lambda plan: ContainerSteps(plan.grid, plan.now), life[:3])

    async def every_round() -> None:
        after = -1
        for _ in range(10_000):
            _, *lines = await history.page(after, False, 1000)
            if not lines:
                return
            place = history.after(lines[-1].split(b'"', 4)[3].decode())
            assert place is not None
            after = place[0]

    async def lines() -> None:
        history.lines.__self__._lines = None, b""  # type: ignore[attr-defined]  # they are shared until the next round
        await history.lines(None, 60.0, FIGURES)

    return {
        "one": await cpu_ms(container),
        "host": await cpu_ms(lambda: history.host(asked)),
        "lines": await cpu_ms(lines),
        "rounds": await cpu_ms(every_round),
    }


async def measure(count: int, hours: float, *, busy: bool, folder: str) -> None:
    """One line, or with a folder two."""
    host, before = Host(count, busy=busy), resident()
    memory = Memory(360, 10.0, boot="0123456789ab")
    memory.began_ns = host.now().monotonic_ns + 10 * SECOND
    store = Store(folder, 604_800.0, 512 << 20, memory) if folder else None
    disk = Disk(memory, store, host.now) if store else None
    history = History(cast(Feed, None), memory, host.now, disk)
    if disk is not None:
        disk.start()
        disk._task.cancel() if disk._task is not None else None  # this program says when rounds are stored
    took, stored, rounds = 0.0, 0.0, int(360 * hours)
    for number in range(rounds):
        taken = host.round()
        began = time.process_time()
        memory.add(number, taken, 0)
        took += time.process_time() - began
        if store is not None and number % 6 == 5:
            began = time.process_time()
            store.write()
            stored += time.process_time() - began
    title = f"{count} {'busy' if busy else 'idle'}"
    cells = [f"{took / rounds * 1000:.3f}", f"{memory.used / 1e6:.1f}", f"{resident() - before:.1f}"]
    found = await reads(history, host.lives[7], None)
    print(f"| {title} | {' | '.join(cells)} | {' | '.join(f'{each:.1f}' for each in found.values())} |", flush=True)
    if store is not None and disk is not None:
        size = sum(entry.stat().st_size for entry in os.scandir(folder))
        found = await reads(history, host.lives[7], 0)
        cells = [f"{stored / rounds * 6000:.1f} a minute", f"{size / 1e6 / hours:.2f} an hour", ""]
        print(f"| on disk | {' | '.join(cells)} | {' | '.join(f'{each:.1f}' for each in found.values())} |", flush=True)
        await disk.stop()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", default="100,1000", help="containers (default: 100,1000)")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--disk", default="", help="a directory of one's own, for files that are removed afterwards")
    arguments = parser.parse_args()
    print("| containers | ms a round | MB | process MB | one, ms | host, ms | lines, ms | every round, ms |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for count in map(int, arguments.n.split(",")):
        for busy in (True, False):
            if (pid := os.fork()) == 0:  # memory is counted anew
                with tempfile.TemporaryDirectory(dir=arguments.disk or None) as folder:
                    asyncio.run(measure(count, arguments.hours, busy=busy, folder=folder if arguments.disk else ""))
                os._exit(0)
            os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
