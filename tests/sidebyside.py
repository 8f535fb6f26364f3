"""Threads that call one object at once, while the interpreter goes from one to the other as often as it can."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

_SWITCH_SECONDS = 1e-6


def side_by_side(*calls: Callable[[int], object], times: int) -> None:
    """Each call in a thread of its own, so many times, with the number of the time; raises what they raised."""
    failed: list[Exception] = []
    together = threading.Barrier(len(calls))

    def repeat(call: Callable[[int], object]) -> None:
        together.wait()
        try:
            for number in range(times):
                call(number)
        except Exception as error:
            failed.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    if failed:
        raise ExceptionGroup("side by side", failed)
