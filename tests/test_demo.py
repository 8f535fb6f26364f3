"""`make demo` shows a host that people recognise: a compose project with the troubles that one looks for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cgroupfs import Clock
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.outputs.table import Line, cells, ordered, render
from cgstatd.recording.recorded_root import RecordedRoot, open_roots
from cgstatd.recording.replayed_root import Replay
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Sampler
from helpers import DEMO, PROJECT
from recordedhosts import recorded_host

OPTIONS = HostOptions(follow=False)
LABELS = ("com.docker.compose.project", "com.docker.compose.service")


@pytest.fixture(scope="module")
def sampler() -> Iterator[Sampler]:
    """Of the second reading, with what was used since the first."""
    earlier, made = (open_host(root, OPTIONS) for root in open_roots(recorded_host(DEMO)))
    with closing(earlier), closing(made):
        earlier.baselines()
        made.continue_from(earlier)
        yield made


@pytest.fixture(scope="module")
def running(sampler: Sampler) -> dict[str, ContainerStats]:
    """name -> figures."""
    found = [sampler.read(each, sampler.namespaces()) for each in sampler.containers()]
    return {each.identity.name: each for each in found if isinstance(each, ContainerStats)}


@pytest.fixture(scope="module")
def on_disk(sampler: Sampler) -> dict[str, Metadata]:
    """name -> what Docker says, stopped ones too."""
    return {each.name: each for each in sampler.names.on_disk()}


def test_there_are_projects_and_what_belongs_to_none(on_disk: dict[str, Metadata]) -> None:
    projects = [(each.labels or {}).get(LABELS[0]) for each in on_disk.values()]
    assert projects.count("shop") >= 8 and projects.count("monitoring") >= 2 and None in projects
    assert len(on_disk) <= 16
    for name, each in on_disk.items():
        labels = each.labels or {}
        assert LABELS[0] not in labels or name == f"{labels[LABELS[0]]}-{labels[LABELS[1]]}-1"


def test_one_is_near_its_limit_and_one_is_throttled(sampler: Sampler, running: dict[str, ContainerStats]) -> None:
    near = [row[1] for row in (cells(Line(each, 1)) for each in running.values()) if float(row[4].rstrip("%")) > 90]
    assert near == ["shop-cache-1"]
    [worker] = [each for each in sampler.containers() if each.identity.name == "shop-worker-1"]
    with worker.reading() as cgroup:
        cpu = cgroup.cpu()
    assert cpu.nr_throttled and cpu.nr_periods and cpu.nr_throttled > cpu.nr_periods / 3


def test_one_was_killed_for_memory_one_restarts_one_is_paused(
    running: dict[str, ContainerStats], on_disk: dict[str, Metadata]
) -> None:
    killed, mailer = on_disk["shop-import-1"], on_disk["shop-mailer-1"]
    assert (killed.state, killed.oom_killed, killed.exit_code) == (State.EXITED, True, 137)
    assert mailer.state is State.RESTARTING and (mailer.restarts or 0) >= 4
    assert running["backup"].state is State.PAUSED
    assert on_disk["shop-migrate-1"].exit_code == 0


def test_rates_live_and_the_busiest_comes_first(running: dict[str, ContainerStats]) -> None:
    lines = ordered((Line(each, 1) for each in running.values()), "cpu")
    first = [line.stats.cpu_percent or 0 for line in lines[:4]]
    assert first[0] > 5 and all(value > 0 for value in first)
    assert render(lines, 120).splitlines()[1].split()[1] == "shop-worker-1"


def test_the_makefile_plays_it_sorted_by_cpu() -> None:
    assert f"--sort cpu --recorded fixtures/{DEMO}.txt" in Path(f"{PROJECT}/Makefile").read_text()


def test_it_holds_nothing_of_the_machine_it_was_recorded_on() -> None:
    for base, _, names in os.walk(recorded_host(DEMO)):
        assert not re.search(r"/(tmp|home|work|root)\b", base.removeprefix(recorded_host(DEMO)))
        for name in names:
            data = Path(base, name).read_bytes()
            assert name not in ("cmdline", "environ") and not re.search(rb"/tmp/|/home/|/root/", data), (
                base,
                name,
            )


def test_what_moved_between_the_readings_goes_on_moving(tmp_path: Path) -> None:
    """The counters of each container's network, whose columns are padded, and of its CPU time."""
    first, second = open_roots(recorded_host(DEMO))
    assert isinstance(first, RecordedRoot) and isinstance(second, RecordedRoot)
    replay = Replay(first, second, str(tmp_path))
    replay.step(1, Clock(1, 1))
    still = []
    for base, _, names in os.walk(tmp_path):
        for name in names:
            path = Path(base, name)
            old, new = (Path(root.path, path.relative_to(tmp_path)) for root in (first, second))
            if f"{path}".endswith(("/net/dev", "/cpuacct.usage")) and old.exists():
                moved, moves = old.read_bytes() != new.read_bytes(), new.read_bytes() != path.read_bytes()
                still += [path] if moved and not moves else []
    assert still == []
