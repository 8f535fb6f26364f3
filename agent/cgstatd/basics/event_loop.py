"""The event loop and the threads beside it."""

from __future__ import annotations

import asyncio
import threading
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


async def in_own_thread(call: Callable[[*Ts], T], *args: *Ts) -> T:
    """What a call returns, or raises, that may never return: the end of the process does not wait for its thread, as it
    would for those of asyncio.to_thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        try:
            call_from_thread(loop, tell, call(*args), None)
        except Exception as error:
            call_from_thread(loop, tell, None, error)

    threading.Thread(target=run, name=getattr(call, "__name__", "call"), daemon=True).start()
    return await done


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
