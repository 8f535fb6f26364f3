"""A process' death is noticed at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

from cgstatd.follow.deaths import Deaths
from helpers import open_descriptors


async def test_a_death_is_told_once_and_nothing_stays_open() -> None:
    before = len(open_descriptors())
    told: list[Any] = []
    deaths = Deaths(told.append)
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        deaths.watch([("web", os.pidfd_open(process.pid)), ("self", os.pidfd_open(os.getpid()))])  # type: ignore[list-item]
        await asyncio.sleep(0.02)
        assert told == []
        process.kill()
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.01)
    deaths.close()
    deaths.close()
    assert told == ["web"]
    assert len(open_descriptors()) == before
