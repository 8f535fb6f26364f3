"""The part of the harness that needs no guest: how figures are compared."""

from __future__ import annotations

import pytest

from e2e.guest.figures import CPUS, Figures, cpu_percent, differences

BEFORE = Figures(memory=1000, limit=4000, rx=10, tx=20, read=0, write=0, cpu=0, clock=0)
AFTER = Figures(memory=900, limit=4000, rx=30, tx=20, read=0, write=0, cpu=500_000_000, clock=1_000_000_000)
ANSWER = {
    "memoryUsage": 950, "memoryLimit": 4000, "networkRx": 30, "networkTx": 20, "blockRead": 0, "blockWrite": 0,
    "cpuPercent": 50.5,
}  # fmt: skip


def test_a_figure_between_the_engines_two_does_not_differ() -> None:
    assert differences(BEFORE, ANSWER, AFTER) == {"memory": 0, "limit": 0, "network": 0, "block": 0, "cpu": 0.5}


def test_a_figure_outside_differs_by_how_far_it_is() -> None:
    answer = {**ANSWER, "memoryUsage": 899, "networkTx": 25, "blockWrite": 7}
    assert differences(BEFORE, answer, AFTER, cpu=False) == {"memory": 1, "limit": 0, "network": 5, "block": 7}


@pytest.mark.parametrize(("ticks", "percent"), [(0, 50.0), (1_010_000_000, 49.5), (800_000_000, 50.0)])
def test_ticks_divide_only_where_the_host_lost_none(ticks: int, percent: float) -> None:
    after = Figures(900, 4000, 30, 20, 0, 0, cpu=500_000_000, clock=1_000_000_000, ticks=ticks * CPUS)
    assert round(cpu_percent(BEFORE, after), 1) == percent
