"""An address that asks far more than others waits, while the event loop is busy and others ask, too."""

from __future__ import annotations

import asyncio

from cgstatd.web.server.gate import MOMENT_SECONDS as CUT_SECONDS
from cgstatd.web.server.turns import MOMENT_SECONDS, Turns
from fakehost import FakeHost
from wire import serving


class Host:
    """A host's clock, and how much of the time the event loop's thread computes, and all threads do."""

    def __init__(self, busy: float, load: float = 0.0) -> None:
        self.busy, self.load = busy, load
        self.now = self.cpu = self.cpu_of_all = 0.0
        self.turns = Turns(lambda: self.now, lambda: self.cpu, lambda: self.cpu_of_all)

    def moment(self, **asked: int) -> dict[str, list[float]]:
        """One moment in which each address asks so often: how long each request waits."""
        waits = {each: [self.turns.wait_seconds(each) for _ in range(number)] for each, number in asked.items()}
        self.now += MOMENT_SECONDS
        self.cpu += MOMENT_SECONDS * self.busy
        self.cpu_of_all += MOMENT_SECONDS * self.load
        return waits


def test_where_the_loop_is_busy_the_address_that_asks_most_waits_and_the_others_do_not() -> None:
    host = Host(busy=0.9)
    host.moment(attacker=300, server=5)
    waits = host.moment(attacker=300, server=5)
    assert not any(waits["server"])
    assert all(0 < each <= 1.0 for each in waits["attacker"])


def test_the_more_it_asks_the_longer_it_waits() -> None:
    several = []
    for number in (20, 40, 1_000):
        host = Host(busy=0.9)
        host.moment(attacker=number, server=1)
        several.append(host.moment(attacker=number, server=1)["attacker"][0])
    assert several == sorted(several) and several[0] < several[-1] <= 1.0


def overloaded(host: Host, moments: int, **asked: int) -> list[bool]:
    """Moment after moment."""
    found = []
    for _ in range(moments):
        host.moment(**asked)
        found.append(host.turns.overloaded)
    return found


def test_it_is_overloaded_while_the_agent_computes_much_of_a_second_and_several_ask() -> None:
    host = Host(busy=0.2, load=0.9)
    assert overloaded(host, 9, attacker=300, server=1) == [False] * 3 + [True] * 6
    host.load = 0.1
    assert not overloaded(host, 12, attacker=300, server=1)[-1]


def test_one_that_asks_alone_overloads_nothing() -> None:
    assert not any(overloaded(Host(busy=1.0, load=1.0), 20, benchmark=500))


def test_a_moment_of_much_work_overloads_nothing() -> None:
    host = Host(busy=0.2, load=0.02)
    overloaded(host, 5, server=1, page=1)
    host.load = 1.0
    host.moment(server=1, page=1)
    host.load = 0.02
    assert not any(overloaded(host, 5, server=1, page=1))


def test_nothing_waits_where_the_loop_has_time() -> None:
    host = Host(busy=0.1)
    for _ in range(3):
        waits = host.moment(attacker=300, server=5)
    assert not any(waits["attacker"] + waits["server"])


def test_an_address_that_asks_alone_never_waits_until_another_asks() -> None:
    host = Host(busy=1.0)
    for _ in range(20):
        assert not any(host.moment(benchmark=500)["benchmark"])
    host.moment(page=1)
    host.moment(benchmark=500)
    assert any(host.moment(benchmark=500)["benchmark"])
    for _ in range(12):
        host.moment(benchmark=500)
    assert not any(host.moment(benchmark=500)["benchmark"]), "the other one has gone"


def test_a_round_of_requests_never_waits_however_little_the_others_ask() -> None:
    host = Host(busy=1.0)
    quiet = {f"page{number}": 1 for number in range(50)}
    host.moment(server=8, **quiet)
    assert not any(host.moment(server=8, **quiet)["server"])


def test_addresses_are_forgotten() -> None:
    host = Host(busy=1.0)
    for number in range(1_000):
        host.moment(**{f"address{number}": 1})
    assert len(host.turns._recent) < 20 and len(host.turns._before) <= 2


async def test_a_request_that_waits_is_answered_and_its_place_may_be_taken_meanwhile(host: FakeHost) -> None:
    host.add("web")
    async with serving(host.sampler()) as server:
        waits = asyncio.Event()

        def wait_seconds(_address: str) -> float:
            waits.set()
            return 0.3

        server.gate.turns.wait_seconds = wait_seconds  # type: ignore[method-assign]
        asking = asyncio.create_task(server.ask("/api/containers"))
        await waits.wait()
        seat = next(iter(server.gate._seats))
        order = seat.spare(server.gate.clock() + CUT_SECONDS)
        assert order is not None and order[0] == 1, "it has asked before, and can be cut"
        assert (await asking).status == 200
