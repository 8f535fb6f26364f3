"""Waiting for what has to come, however busy the machine is.

What never comes is ended by pytest's own time limit, which says where.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    while not condition():
        await asyncio.sleep(0.005)
