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
from helpers import write_files


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
    ("call", "number", "says"),
    [
        ("open", errno.ENOENT, "no pressure"),
        ("open", errno.EOPNOTSUPP, "psi=1"),
        ("open", errno.EPERM, "CAP_SYS_RESOURCE"),
        ("open", errno.EINVAL, "6.4"),
        ("open", errno.EIO, "Input/output error"),
        ("open", errno.EROFS, "read-only"),
        ("write", errno.EOPNOTSUPP, "psi=1"),
    ],
)
def test_what_refuses_says_why_in_words_and_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, says: str
) -> None:
    write_files(str(tmp_path), {f"proc/pressure/{resource}": "" for resource in RESOURCES})
    asked: list[Any] = []

    def refuse(path: Any, *_: Any) -> int:
        asked.append(path)
        raise OSError(number, os.strerror(number))

    before = descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        found = open_triggers(Root(str(tmp_path)))
    assert found.open == [] and all(says in why for why in found.absent.values()) and len(found.absent) == 3
    assert descriptors() == before
    if number == errno.EROFS:
        assert asked[:2] == [f"{tmp_path}/proc/pressure/cpu", "/proc/pressure/cpu"], "the agent's own is asked then"


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
