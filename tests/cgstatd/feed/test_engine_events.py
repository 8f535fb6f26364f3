"""The Engine API's events: each once and in order, whatever notices it first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgroupfs import Vitals
from cgstatd.feed import engine_events
from cgstatd.feed.engine_events import EngineEvents
from cgstatd.feed.event_listener import Listener
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Health, Metadata, State
from cgstatd.outputs.engine import events
from cgstatd.outputs.engine.containers import Listed
from cgstatd.outputs.engine.events import Event
from cgstatd.sampling.round import Changes, Ended, Killed

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


def ended(code: int | None, started: float | None, finished: float | None, *, begun: bool = True) -> Changes:
    record = None if finished is None else metadata(started_seconds=started, finished_seconds=finished, exit_code=code)
    absent = "why" if code is None else None
    one = Ended(identity(record), None, record, code, absent, None, None, False, started, None, begun=begun)
    return Changes(ended=[one])


def killed() -> Changes:
    return Changes(killed=[Killed(identity(None), 1, 1, Vitals(None, 1, None), None)])


def both(first: Changes, second: Changes) -> Changes:
    return Changes(
        first.ended + second.ended,
        first.started + second.started,
        first.begun + second.begun,
        first.killed + second.killed,
    )


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


async def heard(host: Host, listener: Listener) -> list[Event]:
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
async def test_a_start_has_the_runtimes_time_and_is_told_once(host: Host, clock: float) -> None:
    """The cgroup was there before the runtime wrote when it had started; its record of the end was lost at first."""
    await host.events.subscribe(past=False)
    host.now = clock
    host.tell(started(None))
    host.now = 9.0
    host.tell(ended(3, 5.2, None))
    record = metadata(started_seconds=5.2, finished_seconds=8.6, exit_code=3)
    host.listed = [listed(record, running=False)]
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == [("start", 5.2, None), ("die", 9.0, "3")]


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
    told: list[object] = []

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


async def looks(host: Host, number: int = 2) -> None:
    """So many whole looks at the listing from now on."""
    seen = 0

    def one_more() -> None:
        nonlocal seen
        seen += 1

    host.reading = one_more
    while seen <= number:
        await asyncio.sleep(0.001)
    host.reading = lambda: None


def actions(several: list[Event]) -> list[str]:
    return [each.action for each in several]


# -- what is no start


@pytest.mark.parametrize("clients", [True, False])
@pytest.mark.parametrize("code", [1, None])
async def test_a_container_whose_program_is_missing_never_started(host: Host, clients: bool, code: int | None) -> None:
    """Its cgroup was there, with runc's own process, which ended with 1."""
    tell: Callable[[Changes], None] = host.events._observed
    if clients:
        listener, _ = await host.events.subscribe(past=False)
        tell = host.tell
    tell(started(None))
    tell(ended(code, None, None, begun=False))
    _, past = await host.events.subscribe(past=True)
    assert past == [] and (not clients or await heard(host, listener) == [])


@pytest.mark.parametrize("end", [ended(1, None, None), ended(3, None, None, begun=False), ended(1, 5.0, None)])
async def test_a_life_without_a_record_started_if_its_program_was_seen_or_ended_as_no_runtime_does(
    host: Host, end: Changes
) -> None:
    host.now = 5.0
    host.events._observed(started(None))
    host.now = 6.0
    host.events._observed(end)
    _, past = await host.events.subscribe(past=True)
    assert [(each.action, each.time_ns / SECOND) for each in past] == [("start", 5.0), ("die", 6.0)]


async def test_a_start_waits_for_its_engines_word_and_has_its_time(host: Host) -> None:
    """However long the engine takes to write it."""
    listener, _ = await host.events.subscribe(past=False)
    host.now = 5.0
    host.tell(started(None))
    host.listed = [listed(metadata(), running=True)._replace(begun=False)]
    await looks(host)
    assert not listener._waiting
    host.now = 30.0
    host.listed = [listed(metadata(started_seconds=28.0), running=True)]
    await looks(host)
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == shown(await heard(host, listener)) == [("start", 28.0, None)]


async def test_a_start_is_told_once_its_process_is_seen(host: Host) -> None:
    """Of an engine that writes no starts."""
    listener, _ = await host.events.subscribe(past=False)
    host.now = 5.0
    host.tell(started(None))
    host.listed = [listed(metadata(), running=True)._replace(begun=None)]
    await looks(host)
    assert not listener._waiting
    host.listed = [listed(metadata(), running=True)]
    await looks(host)
    assert shown(await heard(host, listener)) == [("start", 5.0, None)]


async def test_a_start_is_told_after_a_while_where_processes_cannot_be_seen(host: Host) -> None:
    listener, _ = await host.events.subscribe(past=False)
    host.tell(started(None))
    host.listed = [listed(metadata(), running=True)._replace(begun=None)]
    host.now = 10.0
    await looks(host)
    assert actions(await heard(host, listener)) == ["start"]


async def test_a_start_before_the_first_client_is_no_news_to_it(host: Host) -> None:
    host.now = 5.0
    host.events._observed(started(None))
    host.listed = [listed(metadata(started_seconds=5.2), running=True)]
    listener, _ = await host.events.subscribe(past=False)
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == [("start", 5.2, None)] and await heard(host, listener) == []


# -- the order


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_kill_comes_before_the_end_it_brought(host: Host, at_once: bool) -> None:
    """The engine dated the end before the agent had counted the kill."""
    await host.events.subscribe(past=False)
    host.tell(started(5.0))
    host.now = 6.0
    for each in [both(killed(), ended(137, 5.0, 5.9))] if at_once else [killed(), ended(137, 5.0, 5.9)]:
        host.tell(each)
    _, past = await host.events.subscribe(past=True)
    assert actions(past) == ["start", "oom", "die"]
    assert [each.time_ns for each in past] == sorted(each.time_ns for each in past)


async def test_a_kill_in_the_next_life_comes_after_its_start(host: Host) -> None:
    await host.events.subscribe(past=False)
    host.tell(started(5.0))
    host.now = 6.0
    host.tell(both(both(killed(), ended(1, 5.0, 5.5)), started(5.8)))
    _, past = await host.events.subscribe(past=True)
    assert actions(past) == ["start", "die", "start", "oom"]


@pytest.mark.parametrize("past", [True, False])
async def test_a_removal_comes_after_the_end_that_is_known_later(host: Host, past: bool) -> None:
    """The listing is without the container before the follower has given up waiting for a record."""
    listener, _ = await host.events.subscribe(past=False)
    host.tell(started(5.0))
    host.listed = [listed(metadata(started_seconds=5.0), running=True)]
    await looks(host)
    host.now = 6.0
    host.listed = []
    await looks(host, 8)
    host.now = 8.5
    host.tell(ended(None, 5.0, None))
    _, again = await host.events.subscribe(past=True)
    told = again if past else await heard(host, listener)
    assert actions(told) == ["start", "die", "destroy"]
    assert [each.time_ns for each in told] == sorted(each.time_ns for each in told)


async def test_a_removal_of_what_was_listed_once_waits_for_its_end(host: Host) -> None:
    """The follower had not noticed it yet."""
    host.listed = []
    listener, _ = await host.events.subscribe(past=False)
    host.listed = [listed(metadata(started_seconds=5.0), running=True)]
    looked = 0

    def gone() -> None:
        nonlocal looked
        looked += 1
        host.listed = [] if looked > 1 else host.listed

    host.reading = gone
    while looked < 6:
        await asyncio.sleep(0.001)
    host.tell(started(5.0))
    host.tell(ended(0, 5.0, 5.5))
    assert actions(await heard(host, listener)) == ["create", "start", "die", "destroy"]


async def test_a_removal_does_not_wait_for_ever(host: Host) -> None:
    host.listed = [listed(metadata(started_seconds=5.0), running=True)]
    listener, _ = await host.events.subscribe(past=False)
    host.listed = []
    await looks(host)
    host.now = 10.0
    await looks(host)
    assert actions(await heard(host, listener)) == ["destroy"]


async def test_one_that_goes_on_and_is_renamed_between_two_looks_goes_on_first(host: Host) -> None:
    paused = listed(metadata(), running=True)._replace(state=State.PAUSED)
    host.listed = [paused]
    listener, _ = await host.events.subscribe(past=False)
    renamed = identity(metadata())._replace(name="shop")
    host.listed = [paused._replace(identity=renamed, state=State.RUNNING)]
    await looks(host)
    host.listed = [paused]
    await looks(host)
    assert actions(await heard(host, listener)) == ["unpause", "rename", "rename", "pause"]


@pytest.mark.parametrize("again", [False, True])
async def test_what_is_left_of_a_removed_container_is_no_new_one_unless_it_starts(host: Host, again: bool) -> None:
    """A cgroup without a process, beside a record that is gone."""
    host.listed = [listed(metadata(started_seconds=5.0), running=True)]
    listener, _ = await host.events.subscribe(past=False)
    host.tell(ended(0, 5.0, 5.5))
    host.listed = []
    await looks(host)
    host.listed = [listed(metadata(), running=True)]
    await looks(host)
    if again:
        host.tell(started(7.0))
        await looks(host)
    host.listed = []
    await looks(host)
    if again:
        host.tell(ended(0, 7.0, 7.5))
    life = ["create", "start", "die", "destroy"]
    assert actions(await heard(host, listener)) == ["die", "destroy", *(life if again else [])]


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
