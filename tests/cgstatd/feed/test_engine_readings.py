"""Requests of one moment are one job; none of them is forgotten while another lists the containers."""

from __future__ import annotations

import asyncio
import threading
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


async def test_who_asked_before_a_listing_that_was_under_way_is_answered_with_who_asked_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = FakeHost(tmp_path)
    host.add("a")
    begun, go_on, begin = threading.Event(), threading.Event(), EngineReader.begin

    def under_way_at_first(reader: EngineReader) -> Moment:
        if not begun.is_set():
            begun.set()
            go_on.wait(10)
            raise ListingUnderWay("another thread lists them")
        return begin(reader)

    monkeypatch.setattr(EngineReader, "begin", under_way_at_first)
    feed = Feed(host.sampler(), freshness_seconds=0.5, baseline_seconds=0)
    feed.start()
    try:
        readings, key = EngineReadings(feed), container_id("a")
        first = asyncio.ensure_future(readings.get(key))
        await until(begun.is_set)
        second = asyncio.ensure_future(readings.get(key))
        await asyncio.sleep(0)
        go_on.set()
        assert isinstance(await second, EngineFigures)
        assert await first is second.result()
    finally:
        feed.stop()


async def test_the_answer_of_a_thread_that_was_left_behind_comes_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was lost, and who had asked waited eight seconds for an error."""
    host = FakeHost(tmp_path)
    host.add("slow")
    host.add("other")
    slow, go_on, read = container_id("slow"), threading.Event(), EngineReader.read

    def reading(reader: EngineReader, container: Container, moment: Moment) -> EngineFigures | None:
        if container.identity.id == slow:
            go_on.wait()
        return read(reader, container, moment)

    monkeypatch.setattr(EngineReader, "read", reading)
    feed = Feed(host.sampler(), freshness_seconds=0.5, baseline_seconds=0)
    feed.start()
    try:
        readings = EngineReadings(feed)
        late, soon = (asyncio.ensure_future(readings.get(key)) for key in (slow, container_id("other")))
        await soon
        assert not late.done() and feed.sampling_thread.overruns == 1
        go_on.set()
        found = await late
        assert isinstance(found, EngineFigures) and found.identity.id == slow
    finally:
        go_on.set()
        feed.stop()


async def test_a_container_whose_file_hangs_is_not_waited_for_as_long_as_one_may_be_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docker stats` showed nothing for 8.6 s because one of its containers had a pids.current that hung."""
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3_600.0)
    host, go_on, read = FakeHost(tmp_path), threading.Event(), EngineReader.read
    host.add("hung")
    host.add("other")

    def reading(reader: EngineReader, container: Container, moment: Moment) -> EngineFigures | None:
        if container.identity.name == "hung":
            go_on.wait()
        return read(reader, container, moment)

    monkeypatch.setattr(EngineReader, "read", reading)
    feed = Feed(host.sampler(), freshness_seconds=0.5, baseline_seconds=0)
    feed.start()
    try:
        readings = EngineReadings(feed)
        hung, other = (asyncio.ensure_future(readings.get(container_id(name))) for name in ("hung", "other"))
        assert isinstance(await other, EngineFigures)
        with pytest.raises(ReadingFailed, match="hangs") as failed:
            await hung
        assert failed.value.field == HUNG
    finally:
        go_on.set()
        feed.stop()
