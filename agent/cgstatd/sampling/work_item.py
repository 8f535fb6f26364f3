"""What the sampling thread is given to do: calls, each about one container, or begun anew where it hangs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
Item = Callable[[], None]
"""It handles its own errors."""


def taken_out(those: deque[T]) -> Iterator[T]:
    """Each, taken out before it is looked at: another thread that goes on, or is at them too, finds the rest."""
    while True:
        try:
            found = those.popleft()
        except IndexError:
            return
        yield found


class Again:
    """An item that another thread begins anew if it hangs. Two threads may call it at once."""

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work

    def __call__(self) -> None:
        self._work()
