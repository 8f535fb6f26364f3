"""Bodies of answers in flight: counted while they are referred to, and shared."""

from __future__ import annotations

import asyncio
import gzip
import threading
import weakref
from collections.abc import Sequence

import pytest

from cgstatd.feed import answer_bodies
from cgstatd.feed.answer_bodies import HOLD_SECONDS, Bodies
from cgstatd.web.server.one_body import NoRoom, OneBody


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """What a body is made of."""


class Connection:
    """A client that does not read."""

    cut = 0

    def abort(self) -> None:
        self.cut += 1


def test_what_bodies_have_counts_once_until_nothing_refers_to_it() -> None:
    bodies, shared, equal = Bodies(100), b"x" * 60, bytes(bytearray(b"x" * 60))
    one = bodies.hold(shared, b"y" * 10)
    assert bodies.more([shared, b"z" * 10]) == 10 and bodies.more([equal]) == 60
    two = bodies.hold(shared, shared, b"z" * 10)
    assert bodies.used == 80
    del one
    assert bodies.used == 70
    del two
    assert bodies.used == 0 and bodies.more([shared]) == 60


def test_there_is_always_room_for_one_and_not_for_more_than_the_budget() -> None:
    bodies = Bodies(100)
    assert bodies.admit(1000)
    held = bodies.hold(b"x" * 60)
    assert bodies.admit(40) and not bodies.admit(41)
    del held
    assert bodies.admit(1000)


def test_who_has_held_the_oldest_for_long_is_cut_where_there_is_no_room() -> None:
    clock, slow, newer = Clock(), Connection(), Connection()
    bodies = Bodies(100, clock)
    old = bodies.hold(b"x" * 60)
    old.readers.add(slow)
    clock.now += HOLD_SECONDS - 1
    new = bodies.hold(b"x" * 30)
    new.readers.add(newer)
    assert (bodies.admit(50), slow.cut) == (False, 0), "nobody has had too much time yet"
    clock.now += 2
    assert (bodies.admit(10), slow.cut) == (True, 0), "nor where there is room"
    assert (bodies.admit(50), slow.cut) == (False, 1)
    del old  # as the connection's end does
    assert bodies.admit(50) and not newer.cut


async def test_who_asks_for_the_same_gets_the_same_body_made_once() -> None:
    bodies, made = Bodies(), []
    one, source = OneBody(bodies), (object(), "labels")

    def make() -> list[bytes]:
        made.append(1)
        return [b"body"]

    found = await asyncio.gather(*(one.get(source, make, threaded=True) for _ in range(20)))
    assert len(made) == 1 and len(set(map(id, found))) == 1
    assert await one.get(source, make) is found[0]
    assert await one.get((object(), "labels"), make) is not found[0]
    one, source = OneBody(bodies), (object(), "others")
    with pytest.raises(ZeroDivisionError):
        await one.get(source, lambda: [b"%d" % (1 // 0)])
    assert (await one.get(source, lambda: [b"now"])).parts == (b"now",), "what fails is tried again"


async def test_what_a_body_was_made_of_goes_with_it() -> None:
    source = Source()
    one, gone = OneBody(Bodies()), weakref.ref(source)
    body = await one.get((source,), lambda: [b"body"])
    assert await one.get((source,), lambda: [b"another"]) is body
    one._forget(weakref.ref(body))  # as half a second later
    del source
    await asyncio.sleep(0)  # what was answered lets go of it
    assert gone() is not None, "who is still being sent it shares it with whoever comes"
    del body
    assert gone() is None


async def test_where_there_is_no_room_the_latest_will_do_for_some_time_then_it_is_refused() -> None:
    clock = Clock()
    bodies = Bodies(100, clock)
    one = OneBody(bodies)
    first = await one.get((object(),), lambda: [b"x" * 60])
    clock.now += HOLD_SECONDS - 1
    assert await one.get((object(),), lambda: [b"y" * 60]) is first
    clock.now += 2
    with pytest.raises(NoRoom):
        await one.get((object(),), lambda: [b"y" * 60])
    assert bodies.used == 60


async def test_overloaded_nobody_waits_for_a_body_who_can_have_one_of_the_figures_before() -> None:
    clock, overloaded = Clock(), True
    one = OneBody(Bodies(clock=clock), lambda: overloaded)
    first = await one.get((object(), "labels"), lambda: [b"1"])
    goes_on, source = threading.Event(), (object(), "labels")

    def slowly() -> list[bytes]:
        assert goes_on.wait(20)
        return [b"2"]

    assert await one.get(source, slowly, threaded=True) is first
    assert await one.get(source, slowly, threaded=True) is first
    clock.now += 1.1
    second = asyncio.ensure_future(one.get(source, slowly, threaded=True))
    goes_on.set()
    assert (await second).parts == (b"2",) and await one.get(source, slowly) is await second
    assert (await one.get((object(), "other labels"), lambda: [b"3"])).parts == (b"3",)
    overloaded = False
    assert (await one.get((object(), "other labels"), lambda: [b"4"])).parts == (b"4",)


# -- compressed


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that compressed something, one after the other."""
    found: list[int] = []
    compress = answer_bodies.gzip

    def noted(parts: Sequence[bytes]) -> bytes:
        found.append(threading.get_ident())
        return compress(parts)

    monkeypatch.setattr(answer_bodies, "gzip", noted)
    return found


async def test_who_wants_it_compressed_gets_the_same_made_once(threads: list[int]) -> None:
    bodies = Bodies()
    body = bodies.hold(b"some text " * 500, b"and more ")
    found = await asyncio.gather(*(bodies.compressed(body) for _ in range(20)))
    assert len(threads) == 1 and len(set(map(id, found))) == 1
    assert found[0] is not None and await bodies.compressed(body) is found[0]
    assert gzip.decompress(b"".join(found[0].parts)) == b"some text " * 500 + b"and more "
    assert found[0].size < body.size


async def test_much_is_compressed_in_another_thread_and_little_here(threads: list[int]) -> None:
    bodies = Bodies()
    for size in (1000, 1_000_000):
        await bodies.compressed(bodies.hold(b"x" * size))
    assert threads[0] == threading.get_ident() != threads[1]


async def test_both_forms_count_each_until_nothing_refers_to_it() -> None:
    bodies = Bodies()
    body = bodies.hold(b"x" * 10_000)
    smaller = await bodies.compressed(body)
    assert smaller is not None and bodies.used == 10_000 + smaller.size
    await asyncio.sleep(0)  # the event loop has nothing of it any more
    del body  # as when a client that wants it compressed reads slowly, and no other has the round
    assert bodies.used == smaller.size
    del smaller
    assert bodies.used == 0


async def test_without_room_nothing_is_compressed_and_what_fails_is_tried_again_and_holds_no_bytes(
    threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = Bodies(10_100)
    body = bodies.hold(b"x" * 10_000)
    assert await bodies.compressed(body) is None and threads == []
    bodies.budget = 20_000

    def fail(_: Sequence[bytes]) -> bytes:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(answer_bodies, "gzip", fail)
        with pytest.raises(MemoryError):
            await bodies.compressed(body)
    assert bodies.used == 10_000 and await bodies.compressed(body) is not None


async def test_a_client_that_goes_away_stops_it_for_no_other() -> None:
    bodies = Bodies()
    body = bodies.hold(b"x" * 1_000_000)
    impatient, patient = (asyncio.create_task(bodies.compressed(body)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient is not None


def test_what_is_compressed_names_no_time_and_no_system() -> None:
    made = answer_bodies.gzip([b"a", b"b"])
    assert gzip.decompress(made) == b"ab" and made[4:8] == b"\0" * 4
    assert gzip.decompress(answer_bodies.gzip([])) == b""
