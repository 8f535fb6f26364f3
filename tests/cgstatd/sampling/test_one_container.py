"""What unknown names, and containers without one, may cost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cgroupfs import Root
from cgstatd.host.discovery import CgroupRef
from cgstatd.host.identity import Identity, Names
from cgstatd.host.runtimes.base import Metadata
from cgstatd.sampling.lookup import NotFound
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.one_container import OneContainer
from fakehost import FakeHost


class Disk:
    """Containers on disk that take so many seconds to look at."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 1000.0
        self.looks = 0
        self.stored: list[Metadata] = []

    def on_disk(self) -> Iterator[Metadata]:
        self.looks += 1
        self.now += self.seconds
        return iter(self.stored)

    def again(self, metadata: Metadata) -> Metadata | None:
        return next((each for each in self.stored if each.id == metadata.id), None)

    def single(self) -> OneContainer:
        listing = SimpleNamespace(written=0)
        sampler: Any = SimpleNamespace(names=self, containers=lambda *_: [], root=Root(), registry=listing)
        return OneContainer(sampler, clock=lambda: self.now)


@pytest.mark.parametrize("seconds", [0.001, 0.05, 1.0, 10.0])
def test_unknown_names_cost_a_twentieth_of_a_core_at_most(seconds: float) -> None:
    disk = Disk(seconds)
    single, began = disk.single(), disk.now
    disk.now += 0.1
    while disk.now < began + 1000 * seconds:
        with pytest.raises(NotFound):
            single.find_to_read("nothing", 0.5)
        disk.now += seconds / 2
    assert disk.looks * seconds <= (disk.now - began) / 20 + 2 * seconds


def test_a_name_that_was_made_meanwhile_is_found_soon() -> None:
    disk = Disk(0.001)
    single = disk.single()
    with pytest.raises(NotFound):
        single.find_to_read("new", 0.5)
    disk.stored.append(Metadata("docker", "a" * 64, "new"))
    disk.now += 0.25
    found = single.find_to_read("new", 0.5)
    assert isinstance(found, ContainerStats) and found.identity.name == "new"


def test_a_place_that_changes_all_the_time_does_not_make_nameless_containers_be_looked_up_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = FakeHost(tmp_path)
    host.add("web")
    shutil.rmtree(tmp_path / "var/lib/docker")
    generations, looked = count(), list[CgroupRef]()
    identify = Names.identify
    monkeypatch.setattr(Names, "generation", lambda _: next(generations))

    def noted(names: Names, ref: CgroupRef) -> Identity:
        looked.append(ref)
        return identify(names, ref)

    monkeypatch.setattr(Names, "identify", noted)
    sampler = host.sampler()
    try:
        for _ in range(100):
            sampler.containers()
    finally:
        sampler.close()
    assert 1 < len(looked) < 10
