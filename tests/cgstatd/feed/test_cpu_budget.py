"""Passes that cost more than their share of a core are made less often, and the answers say so."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import Root
from cgstatd.feed.cpu_budget import LONGEST_SECONDS, REST_SECONDS, CpuBudget
from cgstatd.feed.follow.follower import Follower
from cgstatd.feed.follow.interval_grid import stretched
from cgstatd.feed.shared_passes import Feed
from cgstatd.outputs.follow_types import FollowRound
from cgstatd.sampling import pass_work
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.top.events import Parser
from fakehost import FakeHost
from wire import ALL, STREAM, serving


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.01)  # a new container's second reading comes soon
    made = FakeHost(tmp_path)
    made.add("a")
    made.add("b")
    return made


def costing(seconds: float, percent: float = 1.0) -> CpuBudget:
    cpu_budget = CpuBudget(percent)
    for _ in range(5):
        cpu_budget.spent(seconds)
    return cpu_budget


@asynccontextmanager
async def feeding(host: FakeHost, cpu_budget: CpuBudget) -> AsyncIterator[Feed]:
    sampler = open_host(Root(str(host.path)), HostOptions())  # followed by inotify, as a real one is
    feed = Feed(sampler, freshness_seconds=0.0, baseline_seconds=0.0)
    feed.cpu_budget = cpu_budget
    feed.start()
    try:
        yield feed
    finally:
        feed.stop()
        sampler.close()


class Constant(CpuBudget):
    """Passes cost what they cost at first."""

    def spent(self, cpu_seconds: float) -> None:
        pass


def always(cost_seconds: float) -> Constant:
    cpu_budget = Constant(1.0)
    for _ in range(5):
        CpuBudget.spent(cpu_budget, cost_seconds)
    return cpu_budget


def test_the_interval_is_the_cost_over_the_share() -> None:
    assert costing(0.05).interval_seconds == pytest.approx(5.0)
    assert costing(0.05, percent=10).interval_seconds == pytest.approx(0.5)
    assert costing(5.0, percent=0).interval_seconds == 0.0, "without a bound nothing is stretched"
    cpu_budget = costing(0.001)
    cpu_budget.spent(3.0)
    assert cpu_budget.interval_seconds == pytest.approx(0.1), "one dear pass among cheap ones"


def test_the_first_passes_which_open_every_file_are_no_measure() -> None:
    cpu_budget = CpuBudget(1.0)
    cpu_budget.spent(1.0)
    cpu_budget.spent(1.0)
    assert cpu_budget.interval_seconds == 0.0 and cpu_budget.cost_seconds is None


@given(st.lists(st.floats(0, 1e6), max_size=9), st.floats(0, 100), st.floats(0, 100))
def test_figures_are_never_older_than_the_longest_interval(costs: list[float], percent: float, interval: float) -> None:
    cpu_budget = CpuBudget(percent)
    for cost in costs:
        cpu_budget.spent(cost)
    assert 0 <= cpu_budget.interval_seconds <= LONGEST_SECONDS
    found = cpu_budget.stretched(interval)
    assert found is None or found >= interval - 0.001


def test_what_no_client_waits_for_is_bounded_up_to_a_minute() -> None:
    rest = CpuBudget(1.0, REST_SECONDS)
    assert rest.apart(0.3) == pytest.approx(30.0) and rest.apart(3.0) == REST_SECONDS
    assert CpuBudget(1.0).apart(0.3) == LONGEST_SECONDS


@pytest.mark.parametrize(("steps", "least", "expected"), [(4, 0.0, 1.0), (4, 1.0, 1.0), (4, 1.1, 2.0), (1, 1.1, 1.25)])
def test_an_interval_is_stretched_to_a_multiple_of_itself(steps: int, least: float, expected: float) -> None:
    assert stretched(steps, least) == pytest.approx(expected)


async def test_a_pass_that_costs_too_much_is_shared_for_longer(host: FakeHost) -> None:
    async with feeding(host, costing(1.0)) as feed:
        first = feed.round()
        await first.wait()
        first.began -= 0.6
        assert feed.restrained(0.0) and feed.round() is first
        feed.cpu_budget = costing(0.005)  # half a second apart
        assert feed.round() is not first


async def test_a_pass_knows_what_cpu_time_it_took(host: FakeHost) -> None:
    async with feeding(host, CpuBudget(0.0)) as feed:
        for _ in range(4):
            round_ = feed.round()
            await round_.wait()
        assert 0 < round_.cpu_seconds < round_.seconds + 0.05
        assert feed.pass_cpu_seconds > 0 and feed.cpu_budget.cost_seconds is not None


async def test_a_container_that_came_or_went_does_not_wait(host: FakeHost) -> None:
    async with feeding(host, costing(1.0)) as feed:
        assert len(await feed.round().wait()) == 2
        host.add("new")
        await asyncio.sleep(0.05)
        assert len(await feed.round().wait()) == 3
        host.remove("a")
        await feed.run(feed.sampler.containers)  # somebody else's listing has seen it already
        assert len(await feed.round().wait()) == 2


async def test_within_the_freshness_window_news_waits_for_a_tenth_of_a_second_or_five_times_its_cost(
    host: FakeHost,
) -> None:
    async with feeding(host, CpuBudget(0.0)) as feed:
        feed._freshness = 30.0
        first = feed.round()
        assert len(await first.wait()) == 2
        host.add("new")
        first.began, first.cpu_seconds = time.monotonic(), 60.0
        assert feed.round() is first
        first.began -= 0.15
        assert feed.round() is first, "it was dear to read"
        first.cpu_seconds = 0.001
        second = feed.round()
        assert len(await second.wait()) == 3
        second.began, second.cpu_seconds = time.monotonic() - 0.15, 0.001
        assert feed.round() is second, "that is no news any more"


async def test_stream_and_array_say_how_far_apart_readings_are(host: FakeHost) -> None:
    async with serving(host.sampler(), freshness=0.5) as server:
        for path in (ALL, STREAM):
            assert "cgstatd-interval" not in (await server.ask(path)).headers
        server.feed.cpu_budget = costing(0.025)
        for path in (ALL, STREAM):
            assert (await server.ask(path)).headers["cgstatd-interval"] == "2.5"


async def test_rounds_of_follow_come_less_often_and_say_so(host: FakeHost) -> None:
    async with feeding(host, always(0.006)) as feed:  # 0.6 s apart: every third point of the grid
        follower, parser = Follower(feed, 1), Parser()
        client = follower.subscribe(1)
        began, times = asyncio.get_running_loop().time(), list[float]()
        rounds: list[FollowRound] = []
        async for data in client.batches():
            for event in parser.feed(data if isinstance(data, bytes) else b"".join(data.parts)):
                if isinstance(event, FollowRound):
                    rounds.append(event)
                    times.append(asyncio.get_running_loop().time())
            if len(rounds) == 4:
                break
        follower.stop()
    assert feed.passes <= 1 + (times[-1] - began) / 0.6
    assert {(r.interval, r.effective_interval) for r in rounds} == {(0.25, 0.75)}
    overruns = [r.overruns for r in rounds]
    assert any(later == earlier for earlier, later in itertools.pairwise(overruns)), "being put off is no overrun"


async def test_the_log_says_it_once(host: FakeHost, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with feeding(host, costing(0.0)) as feed:
            feed.cpu_budget.percent = 1e-6  # whatever a pass costs here is too much
            for name in "cdefghi":
                host.add(name)  # news
                round_ = feed.round()
                await round_.wait()
                round_.began -= 60.0
    said = [record.getMessage() for record in caplog.records if "max_cpu" in record.getMessage()]
    assert len(said) == 1 and "from now 10.0 s apart" in said[0]
