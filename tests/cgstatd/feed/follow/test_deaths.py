"""A process' death and a runtime's record are noticed at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgroupfs import Descriptors
from cgstatd.feed.follow.deaths import Deaths, Notice
from cgstatd.host.inotify import Inotify
from cgstatd.sampling.container import Container
from helpers import failing_close, open_descriptors

WEB, DB = (cast(Container, SimpleNamespace(descriptors=Descriptors(2))) for _ in range(2))


async def test_a_death_is_told_once_and_its_pidfd_is_passed_on() -> None:
    before = len(open_descriptors())
    told: list[tuple[Any, int]] = []
    deaths = Deaths(lambda container, fd: told.append((container, fd)))
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        fd = os.pidfd_open(process.pid)
        deaths.watch([(WEB, fd), (DB, os.pidfd_open(os.getpid()))])
        await asyncio.sleep(0.02)
        assert told == []
        process.kill()
        while not told:
            await asyncio.sleep(0.01)
    deaths.close()
    deaths.close()
    assert told == [(WEB, fd)]
    os.close(fd)
    assert len(open_descriptors()) == before


async def test_a_close_that_fails_costs_no_other_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = Deaths(lambda container, fd: None)
    several = [(container, os.pidfd_open(os.getpid())) for container in (WEB, DB)]
    deaths.watch(several)
    with monkeypatch.context() as patch:
        closed = failing_close(patch)
        deaths.close()
        deaths.close()
    assert sorted(closed) == sorted(fd for _, fd in several)


async def test_what_was_written_is_told_once_until_it_is_listened_for_again(tmp_path: Path) -> None:
    noticed: list[int] = []
    written = Notice(lambda: noticed.append(1))
    inotify = Inotify()
    inotify.add(str(tmp_path))

    async def until(times: int) -> None:
        while len(noticed) < times:
            await asyncio.sleep(0.005)

    written.listen(None)  # without inotify
    written.listen(inotify.fd)
    written.listen(inotify.fd)
    (tmp_path / "a").touch()
    await until(1)
    (tmp_path / "b").touch()
    written.listen(inotify.fd)  # nothing of it was read yet
    await until(2)
    inotify.events()
    written.listen(inotify.fd)
    written.close()
    written.close()
    (tmp_path / "c").touch()
    await asyncio.sleep(0)
    inotify.close()
    assert len(noticed) == 2
