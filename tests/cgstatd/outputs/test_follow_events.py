"""What a round of ``follow`` says of a container, from its figures and those of the round before."""

from __future__ import annotations

from typing import Any

from cgroupfs import Vitals
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import State
from cgstatd.outputs.follow_events import follow_stat
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.round import Look, OwnLimits

SECOND = 1_000_000_000
WEB = Identity("1" * 64, "web", "docker", 0, None)


def stats(cpu_ns: int, network: int, network_ns: int, block: int, block_ns: int) -> ContainerStats:
    return ContainerStats(
        WEB, State.RUNNING, None, 1, 0, 2, network, 0, None, block, 0, 0, cpu_ns, network_ns=network_ns,
        block_ns=block_ns,
    )  # fmt: skip


def rates(before: ContainerStats, now: ContainerStats) -> tuple[Any, Any]:
    nothing: Any = None
    found = follow_stat(Look(nothing, now, Vitals(None, None, None), OwnLimits(None, None)), before, None)
    return found.network_rx_rate, found.block_read_rate


def test_network_and_disk_are_divided_by_the_time_of_their_own_reading_or_else_of_the_cpu_time() -> None:
    before = stats(0, 0, SECOND, 0, 2 * SECOND)
    assert rates(before, stats(SECOND, 3_000, 4 * SECOND, 8_000, 10 * SECOND)) == (1_000, 1_000)
    assert rates(stats(0, 0, 0, 0, 0), stats(2 * SECOND, 4_000, 0, 6_000, 0)) == (2_000, 3_000)
