"""Requests of one moment are one job; none of them is forgotten while another lists the containers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cgstatd.feed import reading_pass
from cgstatd.feed.engine_readings import EngineReadings
from cgstatd.feed.shared_passes import Feed
from cgstatd.sampling.container import Container
from cgstatd.sampling.engine_figures import EngineFigures, EngineReader, Moment
from cgstatd.sampling.reading_failed import HUNG, ReadingFailed
from cgstatd.sampling.registry import ListingUnderWay
from fakehost import FakeHost, container_id
from patience import until


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.add("a")
    return host


@asynccontextmanager
async def feeding(host: FakeHost, go_on: threading.Event) -> AsyncIterator[Feed]:
    """At the end what hangs goes on."""
    feed = Feed(host.sampler(), freshness_seconds=0.5, baseline_seconds=0)
    feed.start()
    try:
        yield feed
    finally:
        go_on.set()
        feed.stop()


async def test_who_asked_before_a_listing_that_was_under_way_is_answered_with_who_asked_meanwhile(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, begin = threading.Event(), threading.Event(), EngineReader.begin

    def under_way_at_first(reader: EngineReader) -> Moment:
        if not begun.is_set():
            begun.set()
            go_on.wait(10)
            raise ListingUnderWay("another thread lists them")
        return begin(reader)

    monkeypatch.setattr(EngineReader, "begin", under_way_at_first)
    async with feeding(host, go_on) as feed:
        readings, key = EngineReadings(feed), container_id("a")
        first = asyncio.ensure_future(readings.get(key))
        await until(begun.is_set)
        second = asyncio.ensure_future(readings.get(key))
        await asyncio.sleep(0)
        go_on.set()
        assert isinstance(await second, EngineFigures)
        assert await first is second.result()


@pytest.mark.parametrize("answers", [True, False])
async def test_a_container_whose_file_hangs_costs_no_other_one_its_answer_and_is_not_waited_for_as_long_as_one_may_work(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """`docker stats` showed nothing for 8.6 s because one of its containers had a pids.current that hung; and an answer
    that came from a thread that had been left behind was lost."""
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3_600.0)
    if answers:
        monkeypatch.setattr(reading_pass, "IN_TIME_SECONDS", 3_600.0)
    host.add("hung")
    hung, go_on, read = container_id("hung"), threading.Event(), EngineReader.read

    def reading(reader: EngineReader, container: Container, moment: Moment) -> EngineFigures | None:
        if container.identity.id == hung:
            go_on.wait()
        return read(reader, container, moment)

    monkeypatch.setattr(EngineReader, "read", reading)
    async with feeding(host, go_on) as feed:
        readings = EngineReadings(feed)
        late, soon = (asyncio.ensure_future(readings.get(key)) for key in (hung, container_id("a")))
        assert isinstance(await soon, EngineFigures)
        assert not late.done() and feed.sampling_thread.overruns == 1
        if answers:
            go_on.set()
            found = await late
            assert isinstance(found, EngineFigures) and found.identity.id == hung
        else:
            with pytest.raises(ReadingFailed, match="hangs") as failed:
                await late
            assert failed.value.field == HUNG
