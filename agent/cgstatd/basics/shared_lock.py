"""A lock that one client's request takes while another client's waits for it.

Whoever has it is not held up in favour of others (web/server/account.py): they would wait for it.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

_held: ContextVar[bool] = ContextVar("held", default=False)


class SharedLock(asyncio.Lock):
    """To be used with ``async with``, and one at a time."""

    async def __aenter__(self) -> None:
        await super().__aenter__()
        _held.set(True)

    async def __aexit__(self, *error: object) -> None:
        _held.set(False)
        self.release()


def is_held() -> bool:
    """Whether the current task has one."""
    return _held.get()
