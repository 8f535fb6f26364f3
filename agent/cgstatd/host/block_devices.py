"""Block devices by number: their names, and which of them only pass I/O on to others.

``/sys/dev/block/<major>:<minor>/uevent`` has ``DEVNAME=sda``; ``slaves/`` lists what a dm or md device is made of. A
loop device lists none, but a file on another device is behind it. A partition (``DEVTYPE=partition``) is a part of its
disk. The device below counts the I/O of such a device as well, so sums leave it out.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple

from cgroupfs import Root

from ..basics.text import is_number, printable

_KEPT_SECONDS = 60.0
_MANY = 10_000
LOOP_MAJOR = "7"


class Device(NamedTuple):
    """One block device."""

    number: str
    name: str | None
    """As in /dev; None: not known (any more)."""
    stacked: bool
    """Whether another device below counts the same I/O."""


class Devices:
    """Used in the sampling thread."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._kept: dict[str, Device] = {}
        self._since = time.monotonic()

    def get(self, number: str) -> Device:
        """The device of a ``major:minor``."""
        if time.monotonic() - self._since > _KEPT_SECONDS or len(self._kept) > _MANY:
            self._kept.clear()
            self._since = time.monotonic()
        found = self._kept.get(number)
        if found is None:
            found = self._kept[number] = self._read(number)
        return found

    def _read(self, number: str) -> Device:
        major, _, minor = number.partition(":")
        if not is_number(major) or not is_number(minor):
            return Device(number, None, False)
        folder = f"/sys/dev/block/{number}"
        name, part = None, False
        with contextlib.suppress(OSError):
            for line in self._root.read(f"{folder}/uevent").decode("utf-8", "replace").splitlines():
                key, _, value = line.partition("=")
                if key == "DEVNAME" and value:
                    name = printable(value)
                part = part or (key, value) == ("DEVTYPE", "partition")
        slaves: list[str] = []
        with contextlib.suppress(OSError), self._root.readers.of(f"{folder}/slaves"):
            slaves = os.listdir(self._root.join(f"{folder}/slaves"))
        return Device(number, name, bool(slaves) or part or major == LOOP_MAJOR)
