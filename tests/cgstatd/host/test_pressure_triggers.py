"""Triggers on the host's pressure, of this kernel and of files that refuse."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Root
from cgstatd.host.pressure_triggers import RESOURCES, Trigger, open_triggers


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_this_kernels_triggers_are_opened_and_closed_or_it_says_why_not() -> None:
    before = descriptors()
    found = open_triggers(Root("/"))
    assert {each.resource for each in found.open} | set(found.absent) == set(RESOURCES)
    assert all(found.absent.values())
    assert descriptors() == before + 2 * len(found.open)
    for each in found.open:
        os.fstat(each.fd)
    found.close()
    assert descriptors() == before


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOENT, "no pressure"),
        (errno.EOPNOTSUPP, "psi=1"),
        (errno.EPERM, "CAP_SYS_RESOURCE"),
        (errno.EINVAL, "6.4"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_refuses_says_why_in_words(monkeypatch: pytest.MonkeyPatch, number: int, says: str) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    before = descriptors()
    monkeypatch.setattr(os, "open", refuse)
    found = open_triggers(Root("/"))
    monkeypatch.undo()
    assert found.open == [] and all(says in why for why in found.absent.values()) and len(found.absent) == 3
    assert descriptors() == before


def test_a_file_that_takes_no_trigger_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "proc/pressure"
    folder.mkdir(parents=True)
    for resource in RESOURCES:
        (folder / resource).write_text("")

    def refuse(*_: Any) -> int:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    before = descriptors()
    monkeypatch.setattr(os, "write", refuse)
    found = open_triggers(Root(str(tmp_path)))
    monkeypatch.undo()
    assert found.open == [] and descriptors() == before


def test_where_the_hosts_proc_is_read_only_the_agents_own_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def only_reading(path: str, *_: Any) -> int:
        asked.append(path)
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "open", only_reading)
    found = open_triggers(Root(str(tmp_path)))
    monkeypatch.undo()
    assert asked[:2] == [f"{tmp_path}/proc/pressure/cpu", "/proc/pressure/cpu"]
    assert "read-only" in found.absent["cpu"]


def test_an_event_of_the_time_before_is_forgotten() -> None:
    readable, writable = os.pipe()
    waits = select.epoll()
    waits.register(readable, select.EPOLLIN | select.EPOLLET)
    trigger = Trigger("cpu", readable, waits)
    os.write(writable, b"x")
    trigger.clear()
    assert waits.poll(0) == []
    os.close(writable)
    trigger.close()
    assert waits.closed
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(readable)
