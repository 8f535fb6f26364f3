"""What a scrape reads of a container: all of it, unless nothing has run in it since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgstatd.outputs.metric_families import EXPORTED_FIELDS
from cgstatd.sampling.exported_metrics import MetricsReader
from fakehost import FakeHost, container_id

CACHE, PEAK, TASKS = "memory.stat.file", "memory.peak_bytes", "pids.current"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.add("a")
    (host.scope("a") / "memory.peak").write_text("9\n")
    return host


class Scraper:
    """Scrapes of a host with one container."""

    def __init__(self, host: FakeHost) -> None:
        self.sampler = host.sampler()
        self._reader = MetricsReader(self.sampler, EXPORTED_FIELDS)

    def scrape(self) -> Any:
        """The container's fields."""
        (listed,), namespaces = self._reader.begin()
        found = self._reader.read(namespaces, listed)
        assert found is not None
        return found.fields


def change(host: FakeHost) -> None:
    """Of a container in which nothing runs none of these changes; so it is seen what is read again."""
    host.set("a", "memory.stat", "anon 1\nfile 7\ninactive_file 3\n")
    host.set("a", "memory.peak", "8\n")
    host.set("a", "pids.current", "5\n")
    host.set("a", "memory.max", "4096\n")


@pytest.mark.parametrize(
    ("file", "content", "seconds", "whole"),
    [
        pytest.param(None, "", 0, False, id="nothing ran"),
        pytest.param("cpu.stat", "usage_usec 1000001\n", 0, True, id="CPU time was used"),
        pytest.param("memory.current", "4096\n", 0, True, id="memory is another"),
        pytest.param(None, "", 45, True, id="and once in a while"),
    ],
)
def test_while_nothing_runs_in_a_container_only_what_may_change_all_the_same_is_read_again(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, file: str | None, content: str, seconds: int, whole: bool
) -> None:
    scraper = Scraper(host)
    before = scraper.scrape()
    assert (before[CACHE], before[PEAK], before[TASKS]) == (2, 9, 1)
    change(host)
    if file is not None:
        host.set("a", file, content)
    root = type(scraper.sampler.root)
    clock = scraper.sampler.root.clock
    monkeypatch.setattr(root, "clock", lambda *_: clock()._replace(monotonic_ns=clock().monotonic_ns + seconds * 10**9))
    now = scraper.scrape()
    assert (now[CACHE], now[PEAK], now[TASKS]) == ((7, 8, 5) if whole else (2, 9, 1))
    assert now["memory.max_bytes"] == 4096


def test_what_could_not_be_read_is_tried_again(host: FakeHost) -> None:
    scraper = Scraper(host)
    host.make_unreadable("a", "memory.peak")
    assert scraper.scrape()[PEAK] is None
    (host.scope("a") / "memory.peak").rmdir()
    (host.scope("a") / "memory.peak").write_text("9\n")
    assert scraper.scrape()[PEAK] == 9


def test_when_a_container_was_started_is_found_once_the_hosts_boot_time_is_known(host: FakeHost) -> None:
    """A scrape that could not read it left the start time out for as long as the container ran."""
    config = host.path / f"var/lib/docker/containers/{container_id('a')}/config.v2.json"
    config.unlink()
    pid = (host.scope("a") / "cgroup.procs").read_text().strip()
    stat = f"{pid} (a) S 1 1 1 0 -1 0 0 0 0 0 9 1 0 0 20 0 3 0 500 0 0\n"
    (host.path / f"proc/{pid}/stat").write_text(stat)
    (host.path / "proc/stat").write_text("cpu  1 0 1 7 5 0 0 0 0 0\ncpu0 1 0 0 0\nbtime 1795606461\n")
    sampler = host.sampler()
    reader = MetricsReader(sampler, EXPORTED_FIELDS)

    def started() -> float | None:
        (listed,), namespaces = reader.begin()
        found = reader.read(namespaces, listed)
        assert found is not None
        return found.started_seconds

    with sampler.root.readers.of("/proc/stat"):  # an earlier reading of it hangs
        assert started() is None
    known = started()
    assert known == 1795606461 + 5
    with sampler.root.readers.of("/proc/stat"):
        assert started() == known
