"""A recorded host that goes on: gauges alternate, counters grow at the recorded pace, rates are exact."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cgroupfs import Clock, Root
from cgstatd.recording.recorded_root import RecordedRoot, open_roots
from cgstatd.recording.replayed_root import STEP_SECONDS, Content, Replay, ReplayedRoot, replayed
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import open_host
from helpers import DEMO, HOSTS, RECORDED, UNIFIED, tree
from recordedhosts import recorded_host

from .conftest import OPTIONS, figures, read


@pytest.mark.parametrize(
    ("first", "second", "laps", "wanted"),
    [
        (b"10\n", b"15\n", 0, b"15\n"),
        (b"10\n", b"15\n", 1, b"20\n"),
        (b"10\n", b"15\n", 2.5, b"27\n"),
        (b"a 9 b 1\n", b"a 10 b 1\n", 3, b"a 13 b 1\n"),
        (b"15\n", b"10\n", 4, b"10\n"),  # fell: the container was restarted in between
        (b"8:0 rbytes=1\n", b"8:0 rbytes=1\n8:16 rbytes=5\n", 9, b"8:0 rbytes=1\n8:16 rbytes=5\n"),
        (b"", b"8:0 rbytes=1\n", 9, b"8:0 rbytes=1\n"),
        (b"no number", b"no number", 9, b"no number"),
    ],
)
def test_every_counter_that_grew_goes_on_growing(first: bytes, second: bytes, laps: float, wanted: bytes) -> None:
    assert Content("cpuacct.usage", first, second).at(laps) == wanted


@pytest.mark.parametrize(
    ("name", "first", "second", "one", "two"),
    [
        (
            "cpu.pressure",
            b"some avg10=0.90 avg60=2.10 avg300=0.00 total=100\n",
            b"some avg10=3.05 avg60=2.36 avg300=0.00 total=150\n",
            b"some avg10=0.90 avg60=2.10 avg300=0.00 total=200\n",
            b"some avg10=3.05 avg60=2.36 avg300=0.00 total=250\n",
        ),
        ("uptime", b"138.51 18.18\n", b"142.56 18.45\n", b"146.61 18.72\n", b"150.66 18.99\n"),
        (
            "proc/stat",
            b"cpu0 1 0 5\nbtime 7\nprocesses 10\nprocs_running 1\nsoftirq 5 1\n",
            b"cpu0 2 0 5\nbtime 7\nprocesses 14\nprocs_running 3\nsoftirq 6 1\n",
            b"cpu0 3 0 5\nbtime 7\nprocesses 18\nprocs_running 1\nsoftirq 7 1\n",
            b"cpu0 4 0 5\nbtime 7\nprocesses 22\nprocs_running 3\nsoftirq 8 1\n",
        ),
        ("memory.stat", b"anon 5\npgfault 1\n", b"anon 9\npgfault 3\n", b"anon 5\npgfault 5\n", b"anon 9\npgfault 7\n"),
        ("memory.stat", b"total_rss 5\ntotal_pgpgin 1\n", b"total_rss 4\ntotal_pgpgin 3\n",
         b"total_rss 5\ntotal_pgpgin 5\n", b"total_rss 4\ntotal_pgpgin 7\n"),
        ("memory.oom_control", b"under_oom 0\noom_kill 1\n", b"under_oom 1\noom_kill 2\n",
         b"under_oom 0\noom_kill 3\n", b"under_oom 1\noom_kill 4\n"),
        ("12/stat", b"12 (a) 1) S 1 12 12 0 -1 7 9 0 0 0 5 6 0 0 20 0 1 0 88 4096 3\n",
         b"12 (a) 1) R 1 12 12 0 -1 7 10 0 0 0 7 6 0 0 20 0 2 0 88 8192 2\n",
         b"12 (a) 1) R 1 12 12 0 -1 7 10 0 0 0 7 6 0 0 20 0 2 0 88 8192 2\n",
         b"12 (a) 1) R 1 12 12 0 -1 7 10 0 0 0 7 6 0 0 20 0 2 0 88 8192 2\n"),
        ("12/stat", b"12 (a) S 1 12 12 0 -1 7 9 0 0 0 5 6 0 0 20 0 1 0 88 4096 3\n",
         b"12 (a) S 1 12 12 0 -1 7 10 0 0 0 7 6 0 0 20 0 2 0 88 8192 2\n",
         b"12 (a) S 1 12 12 0 -1 7 11 0 0 0 9 6 0 0 20 0 1 0 88 4096 3\n",
         b"12 (a) S 1 12 12 0 -1 7 12 0 0 0 11 6 0 0 20 0 2 0 88 8192 2\n"),
        ("net/dev", b"  eth0:    9000   90\n", b"  eth0:   10000  100\n",
         b"  eth0:   11000  110\n", b"  eth0:   12000  120\n"),
        ("memory.peak", b"10\n", b"15\n", b"15\n", b"15\n"),
        ("pids.current", b"3\n", b"4\n", b"3\n", b"4\n"),
        ("cpu.max", b"max 100000\n", b"30000 100000\n", b"max 100000\n", b"30000 100000\n"),
        ("loadavg", b"0.10 0.20 0.30 1/80 900\n", b"4.96 1.95 0.72 4/286 2936\n",
         b"0.10 0.20 0.30 1/80 900\n", b"4.96 1.95 0.72 4/286 2936\n"),
    ],
)  # fmt: skip
def test_in_each_file_counters_grow_and_gauges_take_turns(
    name: str, first: bytes, second: bytes, one: bytes, two: bytes
) -> None:
    content = Content(name, first, second)
    assert [content.at(laps) for laps in (0, 1, 2)] == [second, one, two]


class Player:
    """A replay that is stepped by hand, with the sampler that reads it."""

    def __init__(self, host: str, directory: str) -> None:
        first, second = open_roots(recorded_host(host))
        assert isinstance(first, RecordedRoot) and isinstance(second, RecordedRoot)
        self.seconds = (second.reading.monotonic_ns - first.reading.monotonic_ns) / 1e9
        self.replay = Replay(first, second, directory)
        self.began = self.replay.clock
        self.sampler = open_host(ReplayedRoot(directory, second.reading, self.replay), OPTIONS)

    def step(self, laps: float) -> None:
        passed = int(laps * self.seconds * 1e9)
        self.replay.step(laps, Clock(self.began.monotonic_ns + passed, self.began.time_ms + passed // 1_000_000))

    def figures(self) -> dict[str, ContainerStats]:
        return read(self.sampler)


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    made = Player(UNIFIED, str(tmp_path / "replay"))
    with closing(made.sampler):
        yield made


@pytest.mark.parametrize("host", HOSTS)
def test_cpu_percent_is_the_recorded_one_over_any_window(host: str, tmp_path: Path) -> None:
    wanted = figures(open_roots(recorded_host(host)))
    assert max(each.cpu_percent or 0 for each in wanted.values()) > 20
    player = Player(host, str(tmp_path / "replay"))
    with closing(player.sampler):
        for container in player.sampler.containers():
            player.sampler.baseline(container)
        for laps in (0.1, 0.35, 1.0, 1.2, 4.0):
            player.step(laps)
            found = player.figures()
            for key, each in wanted.items():
                if each.cpu_percent is not None:
                    assert found[key].cpu_percent == pytest.approx(each.cpu_percent, abs=1), each.identity.name


def test_gauges_take_the_two_recorded_values_in_turn_and_counters_never_fall(player: Player) -> None:
    first, second = (read(open_host(root, OPTIONS)) for root in open_roots(recorded_host(UNIFIED)))
    moving = [key for key in second if key in first and first[key].memory_usage_bytes != second[key].memory_usage_bytes]
    assert moving
    seen = []
    for laps, wanted in ((0, second), (0.5, second), (1, first), (1.9, first), (2, second), (3.1, first), (10, second)):
        player.step(laps)
        found = player.figures()
        assert found.keys() == second.keys(), "one of a reading alone is shown as it was in the second"
        assert [found[key].memory_usage_bytes for key in moving] == [wanted[key].memory_usage_bytes for key in moving]
        seen.append({key: (e.network_rx_bytes, e.network_tx_bytes, e.block_read_bytes, e.block_write_bytes)
                     for key, e in found.items()})  # fmt: skip
    for before, after in itertools.pairwise(seen):
        for key, values in before.items():
            for old, new in zip(values, after[key], strict=True):
                assert old is None or (new is not None and new >= old), key
    assert any(seen[0][key] != seen[-1][key] for key in seen[0])


def test_time_is_real_and_never_far_behind() -> None:
    with replayed(open_roots(recorded_host(UNIFIED))) as root:
        time.sleep(STEP_SECONDS * 3)
        clock = root.clock("/anything")
        assert 0 <= time.monotonic_ns() - clock.monotonic_ns < 1e9
        assert abs(time.time() * 1000 - clock.time_ms) < 1000
        folder = root.path
        assert os.path.isdir(folder)
    assert not os.path.exists(folder)


def test_one_reading_or_what_is_not_recorded_is_not_played() -> None:
    for roots in (open_roots(tree(UNIFIED, "t0")), open_roots("/"), [Root("/"), Root("/proc")]):
        with replayed(roots) as root:
            assert root is roots[0]


@pytest.mark.parametrize("host", (*HOSTS, *RECORDED, DEMO))
def test_no_figure_is_one_that_a_kernel_cannot_show(host: str, tmp_path: Path) -> None:
    player = Player(host, str(tmp_path / "replay"))
    with closing(player.sampler):
        for laps in (1, 2, 777.5):
            player.step(laps)
            pressures, decimals = possible_figures(tmp_path / "replay")
            assert decimals and (pressures or host not in (UNIFIED,))


def possible_figures(replay: Path) -> tuple[int, int]:
    """How many averages of pressure, and how many files with decimals; all of them as a kernel may show them."""
    pressures = decimals = 0
    for base, _, names in os.walk(replay):
        for name in names:
            text = Path(base, name).read_bytes() if name in ("uptime", "loadavg") or "pressure" in name else b""
            for average in re.findall(rb"avg\d+=(\S+)", text):
                assert re.fullmatch(rb"\d{1,3}\.\d\d", average) and float(average) <= 100, (base, name, text)
                pressures += 1
            if name in ("uptime", "loadavg"):
                assert re.match(rb"\d+\.\d\d \d+\.\d\d\b", text), (base, name, text)
                decimals += 1
            if name == "memory.peak":
                assert int(Path(base, name).read_bytes()) >= int(Path(base, "memory.current").read_bytes()), base
    return pressures, decimals
