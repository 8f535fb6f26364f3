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


def actions(several: list[Event]) -> list[str]:
    return [each.action for each in several]


def shown(several: list[Event]) -> list[tuple[str, float, str | None]]:
    return [(each.action, each.time_ns / SECOND, each.attributes.get("exitCode")) for each in several]


Steps = list[Changes | float]
"""What is told, one after the other; a number: the clock that everything after it is told at."""


async def past_of(
    host: Host, steps: Steps, tell: Callable[[Changes], None] | None = None, written: Metadata | None = None
) -> list[Event]:
    """The events of the past, once these have happened while a client listened (or whoever ``tell`` tells), and the
    runtime has written its record of it."""
    if tell is None:
        await host.events.subscribe(past=False)
    for each in steps:
        if isinstance(each, Changes):
            (tell or host.tell)(each)
        else:
            host.now = each
    if written is not None:
        host.listed = [listed(written, running=False)]
    _, past = await host.events.subscribe(past=True)
    assert [each.time_ns for each in past] == sorted(each.time_ns for each in past)
    return past


@pytest.mark.parametrize(
    ("steps", "record", "expected"),
    [
        pytest.param(
            [started(5.0), ended(3, 5.0, 5.2)], (5.4, 5.8, 4),
            [("start", 5.0, None), ("die", 5.2, "3"), ("start", 5.4, None), ("die", 5.8, "4")],
            id="two ends within a second: the second life's is only in the runtime's state",
        ),
        pytest.param(
            [5.1, started(None), 9.0, ended(3, 5.2, None)], (5.2, 8.6, 3), [("start", 5.2, None), ("die", 9.0, "3")],
            id="the cgroup was there before the runtime wrote the start; the record of the end was lost at first",
        ),
        pytest.param(
            [5.3, started(None), 9.0, ended(3, 5.2, None)], (5.2, 8.6, 3), [("start", 5.2, None), ("die", 9.0, "3")],
            id="the same, of a start that was noticed late",
        ),
        pytest.param(
            [started(5.0), 6.0, both(ended(3, 5.0, None), started(5.5))], (5.5, 5.9, 4),
            [("start", 5.0, None), ("die", 5.5, "3"), ("start", 5.5, None), ("die", 5.9, "4")],
            id="an end whose record was overwritten comes before the next start",
        ),
        pytest.param(
            [started(5.5), ended(3, 5.5, 5.4)], (5.5, 5.4, 3), [("start", 5.5, None), ("die", 5.5, "3")],
            id="of the shortest lives the end is the start: Docker writes FinishedAt before StartedAt there",
        ),
    ],
)  # fmt: skip
async def test_a_life_is_told_once_with_the_runtimes_times(
    host: Host, steps: Steps, record: tuple[float, float, int], expected: list[tuple[str, float, str | None]]
) -> None:
    written = metadata(started_seconds=record[0], finished_seconds=record[1], exit_code=record[2])
    assert shown(await past_of(host, steps, written=written)) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [  # the engine dates the end before the agent has counted the kill
        ([started(5.0), 6.0, killed(), ended(137, 5.0, 5.9)], ["start", "oom", "die"]),
        ([started(5.0), 6.0, both(killed(), ended(137, 5.0, 5.9))], ["start", "oom", "die"]),
        (  # a kill in the next life
            [started(5.0), 6.0, both(both(killed(), ended(1, 5.0, 5.5)), started(5.8))],
            ["start", "die", "start", "oom"],
        ),
    ],
)
async def test_a_kill_comes_before_the_end_it_brought(host: Host, steps: Steps, expected: list[str]) -> None:
    assert actions(await past_of(host, steps)) == expected


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


# -- what is no start


@pytest.mark.parametrize("clients", [True, False])
@pytest.mark.parametrize("code", [1, None])
async def test_a_container_whose_program_is_missing_never_started(host: Host, clients: bool, code: int | None) -> None:
    """Its cgroup was there, with runc's own process, which ended with 1."""
    listener = (await host.events.subscribe(past=False))[0] if clients else None
    tell = host.tell if clients else host.events._observed
    assert await past_of(host, [started(None), ended(code, None, None, begun=False)], tell) == []
    assert listener is None or await heard(host, listener) == []


@pytest.mark.parametrize("end", [ended(1, None, None), ended(3, None, None, begun=False), ended(1, 5.0, None)])
async def test_a_life_without_a_record_started_if_it_was_seen_or_ended_as_no_runtime(host: Host, end: Changes) -> None:
    past = await past_of(host, [5.0, started(None), 6.0, end], host.events._observed)
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


@pytest.mark.parametrize("seen", [True, False])
async def test_a_start_is_told_once_its_process_is_seen_or_after_a_while_if_none_can(host: Host, seen: bool) -> None:
    """Of an engine that writes no starts."""
    listener, _ = await host.events.subscribe(past=False)
    host.now = 5.0
    host.tell(started(None))
    host.listed = [listed(metadata(), running=True)._replace(begun=None)]
    await looks(host)
    assert not listener._waiting
    if seen:
        host.listed = [listed(metadata(), running=True)]
    else:
        host.now = 15.0
    await looks(host)
    assert shown(await heard(host, listener)) == [("start", 5.0, None)]


async def test_a_start_before_the_first_client_is_no_news_to_it(host: Host) -> None:
    host.now = 5.0
    host.events._observed(started(None))
    host.listed = [listed(metadata(started_seconds=5.2), running=True)]
    listener, _ = await host.events.subscribe(past=False)
    _, past = await host.events.subscribe(past=True)
    assert shown(past) == [("start", 5.2, None)] and await heard(host, listener) == []


# -- the order


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


async def test_a_removal_waits_for_its_end_but_not_for_ever(host: Host) -> None:
    """It was listed once, and the follower had not noticed it yet."""
    host.listed = []
    listener, _ = await host.events.subscribe(past=False)
    for now in (0.0, 20.0):
        host.now = now
        host.listed = [listed(metadata(started_seconds=now), running=True)]
        await looks(host, 1)
        host.listed = []
        await looks(host)
        if not now:
            host.tell(started(5.0))
            host.tell(ended(0, 5.0, 5.5))
        host.now += 10.0
        await looks(host)
    told = actions(await heard(host, listener))
    assert told == ["create", "start", "die", "destroy", "create", "destroy"]


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
