"""The event loop and the threads beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


def call_from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[*Ts], object], *args: *Ts) -> None:
    """Have the event loop call it soon. From any thread; nothing happens once the loop is closed.

    To ask first whether it is closed would not do: it may be closed in between, and the error would end the thread.
    """
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


class OneThread:
    """Calls that compute, one after the other, in one thread. Used in the event loop.

    asyncio.to_thread begins another thread, up to six on two processors, where the one before has not said yet that it
    is idle. Threads that compute only take the interpreter from each other, and from the event loop.
    """

    def __init__(self, name: str) -> None:
        """``name``: of the thread, which begins with the first call."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """What it returns, or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *args)
