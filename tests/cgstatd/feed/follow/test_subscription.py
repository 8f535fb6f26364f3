"""What waits for a client is bounded."""

from __future__ import annotations

import asyncio

from cgstatd.feed.answer_bodies import Body
from cgstatd.feed.follow import subscription as module
from cgstatd.feed.follow.subscription import Subscription
from patience import until


async def test_what_comes_first_then_what_waits_by_number_then_the_end() -> None:
    client = Subscription(4, [b"hello"])
    received: list[bytes | Body] = []

    async def receive() -> None:
        async for data in client.batches():
            received.append(data)

    task = asyncio.create_task(receive())
    client.round(3, b"round")
    client.change(2, b"start")
    await until(lambda: len(received) >= 3)
    assert received == [b"hello", b"start", b"round"]
    client.change(4, b"exit")
    await until(lambda: len(received) >= 4)
    assert received[-1] == b"exit" and client.dropped == 0
    client.end()
    await task
    assert received == [b"hello", b"start", b"round", b"exit"]


async def test_a_slow_client_gets_the_latest_round_alone_and_every_change_up_to_a_bound() -> None:
    client = Subscription(4, [])
    for number in range(1000):
        client.round(2 * number, b"round %d" % number)
        client.change(2 * number + 1, b"change %d" % number)
    assert client.dropped == 999
    batches = client.batches()
    received = [await anext(batches) for _ in range(module.CHANGES + 1)]
    assert received[-2:] == [b"round 999", b"change 999"]
    assert received[0] == b"change %d" % (1000 - module.CHANGES)


async def test_changes_that_wait_are_bounded_by_bytes_too() -> None:
    client = Subscription(4, [])
    for number in range(10):
        client.change(number, b"%d" % number * (module.CHANGES_BYTES // 4))
    batches = client.batches()
    received = [await anext(batches) for _ in range(4)]
    assert [each[:1] for each in received if isinstance(each, bytes)] == [b"6", b"7", b"8", b"9"]
    client.change(11, b"x")
    assert await anext(batches) == b"x"
