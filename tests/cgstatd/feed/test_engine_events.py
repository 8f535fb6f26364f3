"""The Engine API's events: each once and in order, whatever notices it first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgstatd.feed import engine_events
from cgstatd.feed.engine_events import EngineEvents
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Health, Metadata, State
from cgstatd.outputs.engine import events
from cgstatd.outputs.engine.containers import Listed
from cgstatd.outputs.engine.events import Event
from cgstatd.sampling.round import Changes, Ended

ID = "ab" * 32
SECOND = 1_000_000_000


def metadata(**more: Any) -> Metadata:
    return Metadata("docker", ID, "web", image="web:1", **more)


def identity(found: Metadata | None) -> Identity:
    return Identity(ID, "web", "docker", 0, found)


def listed(found: Metadata, *, running: bool) -> Listed:
    return Listed(identity(found), State.RUNNING if running else State.EXITED, running)


def started(seconds: float | None) -> Changes:
    return Changes(started=[identity(metadata(started_seconds=seconds))])


def ended(code: int, started: float | None, finished: float | None) -> Changes:
    record = None if finished is None else metadata(started_seconds=started, finished_seconds=finished, exit_code=code)
    one = Ended(identity(record), None, record, code, None, None, None, False, started, None)
    return Changes(ended=[one])


def both(first: Changes, second: Changes) -> Changes:
    return Changes(ended=first.ended + second.ended, started=first.started + second.started)


class Host:
    """What the events are made of: the listing, and what the follower tells."""

    def __init__(self) -> None:
        self.listed = [listed(metadata(), running=False)]
        self.now = 0.0
        self.reading: Callable[[], None] = lambda: None
        """What happens while a listing is made, after its containers were read."""
        feed = SimpleNamespace(run=self._run)
        follower = SimpleNamespace(listen=self._listen, unlisten=self._unlisten, observers=[])
        self.tell: Callable[[Changes], None] = lambda _: None
        self.events = EngineEvents(
            cast(Any, feed), cast(Any, follower), lambda: lambda: list(self.listed), lambda: int(self.now * SECOND)
        )

    async def _run(self, work: Callable[[], Any]) -> Any:
        found = work()
        await asyncio.sleep(0)
        self.reading()
        return found

    async def _listen(self, tell: Callable[[Changes], None]) -> None:
        self.tell = tell

    def _unlisten(self, _tell: Callable[[Changes], None]) -> None:
        pass


@pytest.fixture
async def host(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr(engine_events, "LOOK_SECONDS", 0.001)
    found = Host()
    yield found
    found.events.stop()


async def heard(host: Host, listener: engine_events.Listener) -> list[Event]:
    """What a listener has been told by now, and nothing more."""
    host.events.stop()
    return [each async for each in listener.events()]


def shown(several: list[Event]) -> list[tuple[str, float, str | None]]:
    return [(each.action, each.time_ns / SECOND, each.attributes.get("exitCode")) for each in several]


async def test_two_ends_within_a_second_are_two(host: Host) -> None:
    """A restart loop: the second life's end is only in the runtime's state."""
    await host.events.subscribe(past=False)
    host.tell(started(5.0))
    host.tell(ended(3, 5.0, 5.2))
    record = metadata(started_seconds=5.4, finished_seconds=5.8, exit_code=4)
    host.listed = [listed(record, running=False)]
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == [
        ("start", 5.0, None), ("die", 5.2, "3"), ("start", 5.4, None), ("die", 5.8, "4")
    ]  # fmt: skip


@pytest.mark.parametrize("clock", [5.1, 5.3])
async def test_what_was_told_by_the_agents_clock_is_not_told_again_by_the_runtimes(host: Host, clock: float) -> None:
    """The cgroup was there before the runtime wrote when it had started; its record of the end was lost at first."""
    await host.events.subscribe(past=False)
    host.now = clock
    host.tell(started(None))
    host.now = 9.0
    host.tell(ended(3, 5.2, None))
    record = metadata(started_seconds=5.2, finished_seconds=8.6, exit_code=3)
    host.listed = [listed(record, running=False)]
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == [("start", clock, None), ("die", 9.0, "3")]


async def test_an_end_whose_record_was_overwritten_comes_before_the_next_start(host: Host) -> None:
    await host.events.subscribe(past=False)
    host.tell(started(5.0))
    host.now = 6.0
    host.tell(both(ended(3, 5.0, None), started(5.5)))
    host.listed = [listed(metadata(started_seconds=5.5, finished_seconds=5.9, exit_code=4), running=False)]
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == [
        ("start", 5.0, None), ("die", 5.5, "3"), ("start", 5.5, None), ("die", 5.9, "4")
    ]  # fmt: skip


async def test_of_the_shortest_lives_the_end_is_the_start(host: Host) -> None:
    """Docker writes FinishedAt before StartedAt there."""
    await host.events.subscribe(past=False)
    host.tell(started(5.5))
    host.tell(ended(3, 5.5, 5.4))
    host.listed = [listed(metadata(started_seconds=5.5, finished_seconds=5.4, exit_code=3), running=False)]
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == [("start", 5.5, None), ("die", 5.5, "3")]


async def test_what_happens_while_a_client_subscribes_is_told_once(host: Host) -> None:
    host.listed = [listed(metadata(), running=True)]
    told = []

    def once() -> None:
        if not told and host.events._before is None:
            told.append(1)
            host.tell(ended(3, 5.0, 5.2))

    host.reading = once
    listener, past = await host.events.subscribe(past=True)
    assert told and shown([*past, *await heard(host, listener)]) == [("die", 5.2, "3")]


async def test_what_a_client_has_from_the_state_is_not_told_when_it_is_noticed(host: Host) -> None:
    record = metadata(created_seconds=1.0, started_seconds=5.0, finished_seconds=5.2, exit_code=3)
    host.listed = [listed(record, running=False)]
    listener, past = await host.events.subscribe(past=True)
    assert shown(past) == [("create", 1.0, None), ("start", 5.0, None), ("die", 5.2, "3")]
    host.now = 5.3
    host.tell(ended(3, 5.0, None))  # the follower had to wait for the record, and gave up
    host.tell(started(5.5))
    host.tell(ended(4, 5.5, 5.7))
    assert shown(await heard(host, listener)) == [("start", 5.5, None), ("die", 5.7, "4")]


async def test_what_was_read_of_the_past_goes_with_the_last_client(host: Host) -> None:
    host.listed = [listed(metadata(created_seconds=1.0), running=False)]
    one, _ = await host.events.subscribe(past=True)
    other, _ = await host.events.subscribe(past=True)
    host.events.leave(one)
    assert host.events._written
    host.events.leave(other)
    assert not host.events._written


async def test_a_container_that_is_made_while_the_listing_is_read_is_not_removed_by_it(host: Host) -> None:
    host.listed = []
    listener, _ = await host.events.subscribe(past=False)
    looks = 0

    def made() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:  # this listing was read before
            host.tell(started(5.0))
            host.listed = [listed(metadata(), running=True)]

    host.reading = made
    while looks < 8:
        await asyncio.sleep(0.001)
    assert [each.action for each in await heard(host, listener)] == ["create", "start"]


async def test_a_look_that_fails_is_logged_and_the_next_one_tells(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    listener, _ = await host.events.subscribe(past=False)

    def fails() -> None:
        host.reading = lambda: None
        raise RuntimeError("a bug")

    host.reading = fails
    host.listed = []
    async for each in listener.events():
        assert each.action == "destroy"
        break
    assert "a bug" in caplog.text


# -- health


async def test_health_is_told_when_it_changes(host: Host) -> None:
    """As by Docker: not that it starts, nor that it is the same again, nor that it is not known for a while."""
    listener, _ = await host.events.subscribe(past=False)
    host.now = 7.0
    for status in ("starting", "healthy", "healthy", None, "healthy", "unhealthy", None, "starting", "healthy"):
        host.listed = [listed(metadata(), running=True)._replace(health=Health(status))]
        await host.events._look()
    found = await heard(host, listener)
    assert [each.action for each in found if each.action.startswith("health")] == [
        "health_status: healthy", "health_status: unhealthy", "health_status: healthy"
    ]  # fmt: skip
    wanted = events.wanted({"event": {"health_status"}})
    assert [each.action for each in found if wanted(each)] == [
        each.action for each in found if each.action.startswith("health")
    ]
