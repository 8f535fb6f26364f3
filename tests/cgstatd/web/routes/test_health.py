"""GET /healthz: 200 while the containers can be listed, told from what is known; at most a listing of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cgstatd.feed import health, reading_pass, sampling_thread, sampling_worker
from cgstatd.host.discovery import Discovery
from cgstatd.sampling import registry
from fakehost import FakeHost, Hang
from patience import until
from wire import ALL, Server

HEALTH = "/healthz"
HANGS = "listing the containers does not come to an end; readings that hang: "
OK = (200, {"status": "ok"})


async def asked(server: Server) -> tuple[int, Any]:
    answer = await server.ask(HEALTH)
    return answer.status, answer.json


async def asked_later(server: Server, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Any]:
    """Once no listing from before counts as known."""
    monkeypatch.setattr(health, "FRESH_SECONDS", -1.0)
    server.parts.health._look._fresh = 0.0
    return await asked(server)


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refresh(discovery: Discovery) -> Any:
        raise PermissionError(13, "Permission denied", "/sys/fs/cgroup")

    monkeypatch.setattr(Discovery, "refresh", refresh)


# -- what it costs


async def test_it_reads_no_container_makes_no_pass_and_lists_nothing_after_one(server: Server, hang: Hang) -> None:
    assert await asked(server) == OK
    assert (hang.listings, hang.reads, hang.baselines, server.feed.passes) == (1, [], [], 0)
    assert (await server.ask(ALL)).status == 200
    listings = hang.listings
    assert await asked(server) == OK
    assert hang.listings == listings


async def test_many_who_ask_share_one_listing(server: Server, hang: Hang) -> None:
    look = server.parts.health._look
    look._fresh = 3600.0
    assert await asyncio.gather(*(asked(server) for _ in range(50))) == [OK] * 50
    assert await asked(server) == OK
    assert hang.listings == 1
    look._fresh = 0.0
    assert await asked(server) == OK
    assert hang.listings == 2


async def test_a_pass_that_takes_long_is_not_waited_for(
    host: FakeHost, server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 3600.0)  # slow, but not so slow that it counts as hung
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)
    hang.names.add("b")
    reading = asyncio.create_task(server.ask(ALL))
    await until(lambda: "b" in hang.reads)
    assert await asked(server) == OK
    assert not reading.done() and hang.listings == 1
    hang.release()
    assert (await reading).status == 200


# -- when it is not well


async def test_a_listing_that_fails_is_503_with_the_reason_until_it_works_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that has just failed is believed."""
    monkeypatch.setattr(health, "FRESH_SECONDS", 60.0)
    for first in (HEALTH, ALL):
        with monkeypatch.context() as patch:
            failing(patch)
            assert (await server.ask(first)).status in (500, 503)
        server.parts.health._look._fresh = 60.0
        answer = await server.ask(HEALTH)
        assert answer.status == 503
        assert answer.json == {"error": "cannot list the containers: /sys/fs/cgroup: Permission denied"}
        assert answer.headers["retry-after"] == "5"
        assert await asked_later(server, monkeypatch) == OK
        monkeypatch.setattr(health, "FRESH_SECONDS", 60.0)


async def test_a_listing_that_hangs_is_503_after_a_while_and_holds_one_thread_at_a_time(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.1)
    for limit in ("CONTAINER_SECONDS", "LISTING_SECONDS"):
        monkeypatch.setattr(reading_pass, limit, 3600.0)
    hang.listing = True
    reading = asyncio.create_task(server.ask(ALL))
    await until(lambda: server.feed.sampling_thread.stuck == 1)  # on a busy host that is seen late
    for _ in range(3):
        assert await asked(server) == (503, {"error": f"{HANGS}1"})
    assert hang.listings == 1
    hang.release()
    assert (await reading).status == 200
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 60.0)
    assert await asked_later(server, monkeypatch) == OK


async def test_a_hung_reading_that_was_left_behind_does_not_make_it_unwell(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.6)
    hang.names.add("b")
    assert (await server.ask(ALL)).status == 200
    await until(lambda: server.feed.sampling_thread.stuck == 1)  # on a busy host that is seen late
    assert await asked(server) == OK


async def test_when_no_sampling_thread_is_left_it_is_503(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.4)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 5.0)
    monkeypatch.setattr(sampling_thread, "MAX_THREADS", 2)
    hang.names.update("abc")  # two threads are left behind, the third is not replaced
    reading = asyncio.create_task(server.ask(ALL))
    await until(lambda: {"a", "b", "c"} <= set(hang.reads))
    status, said = await asked(server)
    assert (status, said) == (503, {"error": f"{HANGS}2"})
    hang.release()
    assert (await reading).status == 200
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 60.0)
    assert await asked_later(server, monkeypatch) == OK


async def test_a_listing_that_waits_for_another_one_says_so(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 0.3)
    hang.listing = True
    reading = asyncio.create_task(server.ask(ALL))
    await until(lambda: hang.listings)
    status, said = await asked(server)
    assert status == 503 and said["error"].startswith("listing the containers takes over")
    hang.release()
    assert (await reading).status == 500


async def test_while_it_stops_it_is_not_well(server: Server) -> None:
    server.feed.stop()
    assert await asked(server) == (503, {"error": "the agent is stopping"})
