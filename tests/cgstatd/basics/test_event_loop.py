"""What threads and the event loop have to do with each other."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import pytest

from cgstatd.basics.event_loop import OneThread, call_from_thread


class ClosedMeanwhile:
    """An event loop that is closed between two steps of another thread."""

    called = False

    def is_closed(self) -> bool:
        """Not before it is called."""
        return self.called

    def call_soon_threadsafe(self, *_: object) -> None:
        """As asyncio's."""
        self.called = True
        raise RuntimeError("Event loop is closed")


async def test_a_call_from_a_thread_is_made_in_the_loop() -> None:
    made: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

    def call(what: int) -> None:
        made.set_result((what, threading.get_ident()))

    threading.Thread(target=call_from_thread, args=(asyncio.get_running_loop(), call, 7)).start()
    assert await made == (7, threading.get_ident())


def test_a_loop_that_is_closed_or_becomes_so_meanwhile_is_not_called() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    call_from_thread(loop, pytest.fail, "called")
    call_from_thread(cast(asyncio.AbstractEventLoop, ClosedMeanwhile()), pytest.fail, "called")


def test_another_error_is_not_lost() -> None:
    class Broken(ClosedMeanwhile):
        def is_closed(self) -> bool:
            return False

    with pytest.raises(RuntimeError):
        call_from_thread(cast(asyncio.AbstractEventLoop, Broken()), print)


async def test_calls_that_follow_each_other_have_one_thread() -> None:
    one = OneThread("one")
    assert len({await one.run(threading.get_ident) for _ in range(1000)} - {threading.get_ident()}) == 1


async def test_calls_at_once_are_made_one_after_the_other_in_one_thread() -> None:
    one, inside, most = OneThread("one"), 0, 0

    def call(number: int) -> tuple[int, int]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1
        return number, threading.get_ident()

    found = await asyncio.gather(*(one.run(call, number) for number in range(50)))
    assert [number for number, _ in found] == list(range(50))
    assert len({thread for _, thread in found}) == most == 1


async def test_what_a_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await OneThread("one").run(lambda: 1 // 0)
