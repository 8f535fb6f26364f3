"""Block I/O of a cgroup, by device.

v2 ``io.stat`` (cgroup-v2.rst; d* are discards)::

    254:0 rbytes=2516582400 wbytes=104861696 rios=19200 wios=347 dbytes=0 dios=0

v1 (cgroup-v1/blkio-controller.rst) has the same counter in several files, by whoever counts::

    254:0 Read 67481600
    254:0 Write 25169920
    …
    Total 92651520

Which one is taken, see :func:`read_v1`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..absent import Absent, Missing
from ..errors import CgroupError
from ..formats import DeviceLine, parse_device_operations, parse_nested_keyed
from ..pseudofs import Directory, KeptFile
from .reading import Reading


@dataclass(frozen=True, slots=True)
class DeviceIo:
    """Counters of one device (``major:minor``): bytes and operations read, written, discarded."""

    device: str
    rbytes: int | None = None
    wbytes: int | None = None
    rios: int | None = None
    wios: int | None = None
    dbytes: int | None = None
    dios: int | None = None


@dataclass(frozen=True, slots=True)
class Io:
    """Block I/O of one cgroup and everything below it; ``devices`` None: see ``missing``."""

    devices: tuple[DeviceIo, ...] | None
    source: str
    """The file that the bytes come from; empty where there is none."""
    missing: tuple[Missing, ...]


V1_BYTES = (
    "blkio.io_service_bytes_recursive",
    "blkio.throttle.io_service_bytes",
    "blkio.bfq.io_service_bytes_recursive",
    "blkio.throttle.io_service_bytes_recursive",
)
"""In the order in which they are believed: the first with a counter above zero. CFQ (gone with 5.0) and throttle are
what Docker shows; where it shows 0, bfq or the subtree's throttle counters know better."""
V1_OPERATIONS = {name: name.replace("io_service_bytes", "io_serviced") for name in V1_BYTES}
_V1_FIELDS = {b"Read": ("rbytes", "rios"), b"Write": ("wbytes", "wios"), b"Discard": ("dbytes", "dios")}


def _v1_devices(lines: list[DeviceLine], devices: dict[str, DeviceIo], which: int) -> None:
    """Fold one file's lines into ``devices``; which: 0 bytes, 1 operations."""
    for line in lines:
        names = _V1_FIELDS.get(line.operation)
        if names:
            device = line.device.decode("ascii", "replace")
            change: dict[str, Any] = {names[which]: line.value}
            devices[device] = replace(devices.get(device) or DeviceIo(device), **change)


def counts(lines: list[DeviceLine]) -> bool:
    """Whether a v1 file counts any reading or writing at all."""
    return any(line.value for line in lines if line.operation in (b"Read", b"Write"))


def read_v1(directory: Directory | None) -> Io:
    """The first of V1_BYTES that counts; where none does, zeros with the reason NOT_COUNTED (v1 counts only under a
    throttle rule or the bfq scheduler, so zero usually means that nobody counted)."""
    reading = Reading(directory)
    found: dict[str, list[DeviceLine]] = {}
    for name in V1_BYTES:
        lines = reading.value("devices", name, parse_device_operations)
        if lines is not None:
            found[name] = lines
            if counts(lines):
                break
    wrong = [missing for missing in reading.missing if missing.reason is not Absent.FILE_ABSENT]
    reading.missing.clear()
    source = next((name for name, lines in found.items() if counts(lines)), "")
    if not source and (wrong or not found):
        if wrong:
            reading.missing.append(wrong[0])
        else:
            reading.lack("devices", V1_BYTES[1], Absent.FILE_ABSENT)
        return Io(None, "", tuple(reading.missing))
    if not source:
        reading.lack("devices", V1_BYTES[1], Absent.NOT_COUNTED)
        source = next(iter(found))
    devices: dict[str, DeviceIo] = {}
    _v1_devices(found[source], devices, 0)
    _v1_devices(reading.value("rios", V1_OPERATIONS[source], parse_device_operations) or [], devices, 1)
    return Io(tuple(devices.values()), source, tuple(reading.missing))


_V2_KEYS = {key.encode(): key for key in ("rbytes", "wbytes", "rios", "wios", "dbytes", "dios")}


def read_v2(directory: Directory | None) -> Io:
    """io.stat; an empty file is a cgroup that has done no I/O."""
    reading = Reading(directory)
    nested = reading.value("devices", "io.stat", parse_nested_keyed)
    if nested is None:
        return Io(None, "", tuple(reading.missing))
    devices = tuple(
        DeviceIo(
            line.name.decode("ascii", "replace"),
            **{_V2_KEYS[key]: value for key, value in line.values.items() if key in _V2_KEYS},
        )
        for line in nested.lines
    )
    return Io(devices, "io.stat", tuple(reading.missing))


class Counting:
    """Whether the kernel counts block I/O for any v1 cgroup at all.

    The root cgroup's recursive files include every cgroup: where they are all zero, no cgroup's file needs to be read.
    (v1 counts only under a throttle rule or the bfq scheduler; most hosts have neither.)
    """

    __slots__ = ("_files", "anything")

    def __init__(self, root: Directory) -> None:
        """``root``: the blkio hierarchy's root directory, not kept."""
        self.anything = True
        self._files: list[KeptFile] = []
        for name in V1_BYTES:
            if name.endswith("_recursive"):
                fd = root.open(name)
                if isinstance(fd, int):
                    self._files.append(KeptFile(f"{root.path}/{name}", fd))
        if not any("throttle" in file.path for file in self._files):
            self.close()

    def refresh(self) -> None:
        """Look again, once per pass."""
        try:
            self.anything = not self._files or any(counts(parse_device_operations(f.read())) for f in self._files)
        except (CgroupError, OSError):
            self.anything = True

    def close(self) -> None:
        """Release the descriptors; from then on everything counts."""
        for file in self._files:
            file.close()
        self._files = []
        self.anything = True
