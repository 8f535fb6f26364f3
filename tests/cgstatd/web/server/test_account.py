"""A client that costs the event loop more than its fair share waits, whichever listener it came to; the others do
not."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from cgstatd.basics.shared_lock import SharedLock
from cgstatd.sampling.lookup import NotFound
from cgstatd.sampling.one_container import OneContainer
from cgstatd.web.server.account import CAPACITY, HALF_SECONDS, MOMENT_SECONDS, Account
from cgstatd.web.server.gate import MOMENT_SECONDS as CUT_SECONDS
from cgstatd.web.server.gate import Gate
from cgstatd.web.server.limits import Limits
from cgstatd.web.server.listener import Listener
from wire import Connection, Server

LIST, HERE = "/api/containers", "127.0.0.1"


class Place:
    """A connection's place, and how often it waited."""

    def __init__(self) -> None:
        self.waited = 0

    def waits(self) -> None:
        self.waited += 1

    def asks(self) -> None:
        pass


class Loop:
    """A clock that goes on while a step computes and while a client sleeps, and nothing else."""

    def __init__(self) -> None:
        self.now = self.cpu = self.cpu_of_all = 0.0
        self.slower = 1.0
        """The clock's time that a second of CPU time takes."""
        self.account = Account(lambda: self.now, lambda: self.cpu, lambda: self.cpu_of_all, self.sleep)
        self.steps: list[str] = []
        """Whose steps were made, in their order."""
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def spend(self, seconds: float) -> None:
        """A step computes."""
        self.cpu += seconds
        self.cpu_of_all += seconds
        self.now += seconds * self.slower

    def serve(self, client: str, seconds: float) -> float:
        """One step for a client, if it need not wait; how long it would have to."""
        wait = self.account.wait_seconds(client)
        if not wait:
            self.account.charged(client, self.spend, seconds)
            self.steps.append(client)
        return wait

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now + max(seconds, 1e-6), future))
        await future

    async def go_on(self) -> None:
        """Let whoever can go on, then the next that sleeps."""
        for _ in range(300):  # iterations of the event loop: one connection of a client has a step in each
            await asyncio.sleep(0)
        if self.sleepers:
            self.sleepers.sort(key=lambda each: each[0])
            self.now, future = max(self.now, self.sleepers[0][0]), self.sleepers.pop(0)[1]
            if not future.done():
                future.set_result(None)

    async def request(self, client: str, *seconds: float, pause: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A request of so many steps."""
        for each in seconds:
            self.spend(each)
            self.steps.append(client)
            await pause()


def fill(loop: Loop, seconds: float, **costs: float) -> None:
    """Each client asks without pause for so long: a step of so many seconds."""
    until = loop.now + seconds
    while loop.now < until:
        for client, cost in costs.items():
            loop.serve(client, cost)
        loop.now += 0.001


def test_what_counts_is_the_cost_and_not_how_often_it_asks() -> None:
    loop = Loop()
    fill(loop, 3.0, dear=0.1, cheap=0.0001)
    assert loop.account.wait_seconds("dear") > 0
    loop.steps.clear()
    fill(loop, 10.0, dear=0.1, cheap=0.0001)
    dear, cheap = loop.steps.count("dear"), loop.steps.count("cheap")
    assert dear * 0.1 <= 10.0 * CAPACITY * 1.1, "its part of the loop"
    assert cheap > 50 * dear
    loop = Loop()
    fill(loop, 20.0, one=0.02, other=0.005)
    used = {"one": 0.02 * loop.steps.count("one"), "other": 0.005 * loop.steps.count("other")}
    assert used["one"] == pytest.approx(used["other"], rel=0.2), "two that want everything have the same"


def test_what_the_others_leave_is_for_who_wants_it() -> None:
    """Fifty that ask little are no reason to hold up the one that asks much to a fiftieth."""
    loop = Loop()
    fill(loop, 10.0, flood=0.01, **{f"page{number}": 0.000001 for number in range(50)})
    assert loop.steps.count("flood") * 0.01 > 10.0 * CAPACITY * 0.8


def test_who_wants_less_than_a_fair_share_never_waits() -> None:
    loop = Loop()
    for _ in range(2_000):
        loop.serve("flood", 0.002)
        loop.now += 0.001
        if int(loop.now * 10) != int((loop.now - 0.001) * 10):  # ten times a second
            assert loop.serve("good", 0.001) == 0.0


def test_one_that_asks_alone_never_waits_until_another_asks() -> None:
    loop = Loop()
    fill(loop, 3.0, benchmark=0.05)
    assert loop.account.wait_seconds("benchmark") == 0.0
    loop.serve("page", 0.001)
    loop.now += MOMENT_SECONDS
    assert loop.account.wait_seconds("benchmark") > 0.0
    loop.now += 3.0
    assert loop.account.wait_seconds("benchmark") == 0.0, "the other one has gone"


def test_nothing_waits_where_the_loop_has_time() -> None:
    loop = Loop()
    for _ in range(200):
        assert loop.serve("often", 0.001) == 0.0 == loop.serve("other", 0.0001)
        loop.now += 0.005


def test_where_others_want_the_processor_the_part_is_of_what_is_left() -> None:
    """Of a processor that eight busy programs share the loop gets a fifth: it is full long before it has computed for
    the part of the time that is its clients'."""
    loop = Loop()
    loop.slower = 5.0
    fill(loop, 10.0, flood=0.01, good=0.00001)
    assert loop.account.wait_seconds("flood") > 0.0 == loop.account.wait_seconds("good")
    assert loop.steps.count("flood") * 0.01 <= 10.0 * CAPACITY / 5 * 1.2


def test_a_round_of_requests_never_waits_however_little_there_is_for_each() -> None:
    """On a busy host fifty that mean well would wait for one another."""
    loop = Loop()
    loop.slower = 20.0
    waited = []
    for _ in range(5):
        for number in range(50):
            assert not any(loop.serve(f"good{number}", 0.0004) for _ in range(8))
            waited.append(loop.serve("flood", 0.02))
    assert any(waited)


def test_what_was_used_is_forgotten_by_half_each_second() -> None:
    loop = Loop()
    fill(loop, 5.0, flood=0.05, good=0.001)
    first = loop.account.wait_seconds("flood")
    assert 0.0 < first < HALF_SECONDS, "it is held to its share, and has not much more"
    loop.serve("good", 0.001)
    loop.now += first
    assert loop.account.wait_seconds("flood") == pytest.approx(0.0, abs=0.3)


def test_clients_are_forgotten() -> None:
    loop = Loop()
    for number in range(1_000):
        loop.serve(f"address{number}", 0.001)
        loop.now += MOMENT_SECONDS
    assert len(loop.account._clients) < 20


def overloaded(loop: Loop, moments: int, load: float, *clients: str) -> list[bool]:
    """Moment after moment."""
    found = []
    for _ in range(moments):
        loop.now += MOMENT_SECONDS
        loop.cpu_of_all += MOMENT_SECONDS * load
        for each in clients:
            loop.serve(each, 0.0001)
        found.append(loop.account.overloaded)
    return found


def test_it_is_overloaded_while_the_agent_computes_much_of_a_second_and_several_ask() -> None:
    loop = Loop()
    assert overloaded(loop, 10, 0.9, "attacker", "server") == [False] * 2 + [True] * 8
    assert not overloaded(loop, 12, 0.1, "attacker", "server")[-1]
    assert not any(overloaded(Loop(), 20, 1.0, "benchmark")), "one that asks alone overloads nothing"
    loop = Loop()
    overloaded(loop, 5, 0.02, "server", "page")
    a_moment = overloaded(loop, 1, 1.0, "server", "page")
    assert not any(a_moment + overloaded(loop, 5, 0.02, "server", "page"))


# -- step by step


async def test_a_flood_of_requests_that_are_dear_in_a_later_step_is_made_one_at_a_time() -> None:
    """They all came at once, when their client had used nothing. What is dear comes after the list that they share."""
    loop, listed = Loop(), asyncio.Event()

    async def shared() -> None:
        await listed.wait()

    loop.serve("good", 0.0001)
    flood = [
        asyncio.create_task(loop.account.answered("flood", loop.request("flood", 0.0001, 0.25, pause=shared), Place()))
        for _ in range(64)
    ]
    await loop.go_on()
    assert len(loop.steps) == 65
    loop.steps.clear()
    listed.set()
    began = loop.now
    for _ in range(30):
        assert loop.serve("good", 0.0001) == 0.0
        await loop.go_on()
    floods = [len(each) for each in "".join(each[0] for each in loop.steps).split("g")]
    assert max(floods) <= 3, "as much as it may have used, then one after the other"
    assert sum(floods) * 0.25 <= (loop.now - began) * CAPACITY + 1.0
    for each in flood:
        each.cancel()
    assert all(isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*flood, return_exceptions=True)
               if each is not None)  # fmt: skip


async def test_what_a_step_raises_and_what_it_returns_arrive() -> None:
    account, seen = Account(), list[str]()

    async def work(error: Exception | None) -> str:
        try:
            await asyncio.sleep(0)
            if error is not None:
                raise error
        finally:
            seen.append("over")
        return "answer"

    assert await account.answered("a", work(None), Place()) == "answer"
    with pytest.raises(KeyError):
        await account.answered("a", work(KeyError()), Place())

    async def gives_way() -> None:
        await asyncio.sleep(0)
        seen.append("second")

    asyncio.get_running_loop().call_soon(seen.append, "first")
    await account.answered("a", gives_way(), Place())
    assert seen[-2:] == ["first", "second"]

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    task = asyncio.create_task(account.answered("a", waits(), Place()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["over", "over", "first", "second", "cancelled"]


async def test_one_that_waits_its_turn_can_be_cancelled_and_its_work_hears_of_it() -> None:
    loop, heard, place = Loop(), list[str](), Place()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    async def begun() -> None:
        await asyncio.sleep(0)

    task = asyncio.create_task(loop.account.answered("flood", work(), place))
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    fill(loop, 5.0, flood=0.05, good=0.001)
    late = asyncio.create_task(loop.account.answered("flood", begun(), place))
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    assert place.waited == 1
    for each in (task, late):
        each.cancel()
    await asyncio.gather(task, late, return_exceptions=True)
    assert heard == ["cancelled"]


async def test_whoever_has_what_others_wait_for_goes_on() -> None:
    """A flood could hold the lock of the history's disk for as long as it has to wait itself."""
    loop, lock, place, ready = Loop(), SharedLock(), Place(), asyncio.Event()

    async def work() -> None:
        async with lock:
            await ready.wait()

    task = asyncio.create_task(loop.account.answered("flood", work(), place))
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    assert lock.locked()
    fill(loop, 5.0, flood=0.05, good=0.001)
    assert loop.account.wait_seconds("flood") > 0.0
    ready.set()
    await task
    assert not lock.locked() and place.waited == 0


# -- on a running server


async def test_a_request_that_waits_is_answered_and_its_place_may_be_taken_meanwhile(server: Server) -> None:
    waits, left = asyncio.Event(), [0.3, 0.3, 0.3, 0.0]  # the first question is the lobby's

    def wait_seconds(client: str) -> float:
        seconds = left.pop() if left else 0.0
        if not left:
            waits.set()
        return seconds

    server.gate.account.wait_seconds = wait_seconds  # type: ignore[method-assign]
    asking = asyncio.create_task(server.ask(LIST))
    await waits.wait()
    seat = next(iter(server.gate._seats))
    order = seat.spare(server.gate.clock() + CUT_SECONDS)
    assert order is not None and order[0] == 1, "it has asked before, and can be cut"
    assert (await asking).status == 200


async def test_all_listeners_have_one_account_and_a_user_of_a_unix_socket_is_one_client(
    server: Server, tmp_path: Path
) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(f"{tmp_path}/socket")
    await Listener(server.runner, sock, Gate(Limits(), account=server.gate.account)).start()
    connection = Connection(*await asyncio.open_unix_connection(f"{tmp_path}/socket"))
    connection.send(LIST)
    assert (await connection.answer()).status == 200
    assert (await server.ask(LIST)).status == 200
    await connection.close()
    assert set(server.gate.account._clients) == {HERE, f"unix:{os.getuid()}"}
    assert all(each.used > 0.0 for each in server.gate.account._clients.values())


async def test_what_a_request_costs_is_charged_to_its_client(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted: each millisecond that a made-up clock goes on within a step of its handler, or in the sampling thread:
    a flood of what is dear to read alone would cost the loop little, and all others their turn in that thread."""
    cpu, account = [0.0], server.gate.account
    guard = cast(Any, server.runner.app.middlewares[-1]).__self__
    real = guard._not_a_request_of_ours

    def dear(*arguments: Any) -> Any:
        cpu[0] += 0.5
        return real(*arguments)

    def dear_to_find(*_: Any) -> Any:
        cpu[0] += 0.5
        raise NotFound("no")

    account._clock = lambda: 100.0
    with monkeypatch.context() as patch:
        patch.setattr(time, "thread_time", lambda: 0.0)
        account._computed = lambda: cpu[0]
        patch.setattr(guard, "_not_a_request_of_ours", dear)
        assert (await server.ask(LIST)).status == 200
        assert account._clients[HERE].used == pytest.approx(0.5)
    monkeypatch.setattr(time, "thread_time", lambda: cpu[0])
    account._computed = lambda: 0.0
    monkeypatch.setattr(OneContainer, "find_to_read", dear_to_find)
    assert (await server.ask("/api/containers/web/stats")).status == 404
    assert account._clients[HERE].used == pytest.approx(1.0)


async def test_of_requests_that_arrive_at_once_one_is_in_front_of_another_client() -> None:
    """Nobody has used anything yet, so there is no share that could say who waits."""
    loop = Loop()

    async def once() -> None:
        await asyncio.sleep(0)

    flood = [loop.account.answered("flood", loop.request("flood", 0.01, pause=once), Place()) for _ in range(64)]
    good = loop.account.answered("good", loop.request("good", 0.01, pause=once), Place())
    await asyncio.gather(*flood, good)
    assert loop.steps.index("good") <= 1
    assert loop.steps.count("flood") == 64


async def test_requests_of_one_client_alone_are_all_made() -> None:
    loop = Loop()

    async def once() -> None:
        await asyncio.sleep(0)

    await asyncio.gather(*(loop.account.answered("a", loop.request("a", 1, 1, pause=once), Place()) for _ in range(9)))
    assert loop.steps == ["a"] * 18
