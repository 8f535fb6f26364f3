"""What other monitors show of our figures is what they show of dockerd's, by each one's own formula."""

from __future__ import annotations

import json
import os

import pytest

from cgstatd.outputs.engine import stats
from cgstatd.recording.recorded_root import open_roots
from cgstatd.sampling.engine_figures import EngineReader
from cgstatd.sampling.open_host import HostOptions, open_host
from clientformulas import FORMULAS, Memory, dockerd
from helpers import LEGACY, READINGS, TREES, tree
from recordedhosts import recorded_host


def answers(host: str, reading: str) -> dict[str, tuple[Memory, str]]:
    """Each container's memory_stats, and its memory.stat."""
    sampler = open_host(open_roots(recorded_host(host))[READINGS.index(reading)], HostOptions())
    try:
        reader, found = EngineReader(sampler), {}
        for container in sampler.containers():
            figures = reader.read(container, reader.begin())
            assert figures is not None
            with container.reading() as cgroup:
                path = cgroup.source("memory.stat.anon")
            with open(os.path.join(tree(host, reading), path.lstrip("/")), encoding="ascii") as file:
                found[container.identity.name] = json.loads(stats.encode(figures, None))["memory_stats"], file.read()
        return found
    finally:
        sampler.close()


@pytest.mark.parametrize(("host", "reading"), TREES)
def test_every_clients_formula_ends_where_it_ends_with_dockerds_own_answer(host: str, reading: str) -> None:
    found = answers(host, reading)
    assert len(found) > 9
    for name, (ours, file) in found.items():
        theirs: Memory = {**ours, "stats": dockerd(file)}
        assert {each.__name__: each(ours) for each in FORMULAS} == {each.__name__: each(theirs) for each in FORMULAS}, (
            name
        )


@pytest.mark.parametrize(("host", "reading"), TREES)
def test_memory_stat_is_given_whole(host: str, reading: str) -> None:
    for ours, file in answers(host, reading).values():
        assert ours["stats"] == {key: int(value) for key, value in (line.split() for line in file.splitlines())}


def test_a_nested_cgroup_is_in_the_totals_alone() -> None:
    """As with dockerd: a client that subtracts the cgroup's own cache shows that of the cgroups below as used."""
    nested, _ = answers(LEGACY, "t0")["nested"]
    assert nested["stats"]["inactive_file"] == 0 < nested["stats"]["total_inactive_file"]
