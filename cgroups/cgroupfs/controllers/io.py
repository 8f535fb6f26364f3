"""Block I/O of a cgroup, by device.

v2 ``io.stat`` (cgroup-v2.rst; d* are discards)::

    254:0 rbytes=2516582400 wbytes=104861696 rios=19200 wios=347 dbytes=0 dios=0

v1 (cgroup-v1/blkio-controller.rst) has the same counter in several files, one for each part of the kernel that counts::

    254:0 Read 67481600
    254:0 Write 25169920
    …
    Total 92651520

Which one is taken, see :func:`devices_v1`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..absent import Absent, Missing
from ..fields import Field, Files, Lacking, file, rule
from ..formats import DeviceLine, parse_device_operations, parse_device_values, parse_nested_keyed
from ..hierarchy import Version


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


class Devices(NamedTuple):
    """Every device of a cgroup, and the file that the bytes come from."""

    devices: tuple[DeviceIo, ...]
    source: str


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
"""In the order in which they are believed: the first with a counter above zero. Docker shows those of CFQ (gone with
5.0) and throttle; where these are 0, bfq or the subtree's throttle counters know better."""
V1_OPERATIONS = {name: name.replace("io_service_bytes", "io_serviced") for name in V1_BYTES}
_THROTTLE = V1_BYTES[1]
_V1_KEYS = {b"Read": ("rbytes", "rios"), b"Write": ("wbytes", "wios"), b"Discard": ("dbytes", "dios")}


def counts(lines: list[DeviceLine]) -> bool:
    """Whether a v1 file counts any reading or writing at all."""
    return any(line.value for line in lines if line.operation in (b"Read", b"Write"))


def _believed(files: Files) -> tuple[str, list[DeviceLine]]:
    """The first of V1_BYTES that counts. Where none does: zeros, with a note, as long as all could be read."""
    found: dict[str, list[DeviceLine]] = {}
    wrong: Lacking | None = None
    for name in V1_BYTES:
        try:
            lines = found[name] = files.value(name, parse_device_operations)
        except Lacking as lacking:
            wrong = wrong or (None if lacking.reason is Absent.FILE_ABSENT else lacking)
        else:
            if counts(lines):
                return name, lines
    if wrong or not found:
        raise wrong or Lacking(_THROTTLE, Absent.FILE_ABSENT)
    files.note("io.devices", _THROTTLE, Absent.NOT_COUNTED)
    return next(iter(found.items()))


def devices_v1(files: Files) -> Devices:
    """Of the first of V1_BYTES that counts; where none does, zeros with the reason NOT_COUNTED (v1 counts only under a
    throttle rule or the bfq scheduler, so zero usually means that the kernel did not count)."""
    source, lines = _believed(files)
    try:
        operations = files.value(V1_OPERATIONS[source], parse_device_operations)
    except Lacking as lacking:
        files.note("io.rios", lacking.name, lacking.reason)
        operations = []
    devices: dict[bytes, dict[str, int]] = {}
    for which, several in enumerate((lines, operations)):
        for line in several:
            if line.operation in _V1_KEYS:
                devices.setdefault(line.device, {})[_V1_KEYS[line.operation][which]] = line.value
    return Devices(tuple(DeviceIo(_text(device), **values) for device, values in devices.items()), source)


def _text(device: bytes) -> str:
    return device.decode("ascii", "replace")


_V2_KEYS = (b"rbytes", b"wbytes", b"rios", b"wios", b"dbytes", b"dios")


def devices_v2(data: bytes) -> Devices:
    """io.stat; an empty file is a cgroup that has done no I/O."""
    lines = parse_nested_keyed(data) if data else []
    return Devices(tuple(DeviceIo(_text(each.name), *map(each.values.get, _V2_KEYS)) for each in lines), "io.stat")


class DeviceLimit(NamedTuple):
    """What a cgroup may do on one device (``major:minor``): bytes and operations a second; None: no limit."""

    device: str
    rbps: int | None
    wbps: int | None
    riops: int | None
    wiops: int | None


def limits_v2(data: bytes) -> tuple[DeviceLimit, ...]:
    """io.max: ``8:16 rbps=2097152 wbps=max riops=max wiops=120``; an empty file is a cgroup without limits."""
    lines = parse_nested_keyed(data) if data.strip() else []
    keys = (b"rbps", b"wbps", b"riops", b"wiops")
    return tuple(DeviceLimit(_text(each.name), *map(each.values.get, keys)) for each in lines)


V1_LIMITS = tuple(f"blkio.throttle.{way}_{unit}_device" for unit in ("bps", "iops") for way in ("read", "write"))
"""In the order of :class:`DeviceLimit`. A limit of v1 counts for the cgroup alone, not for those below it."""


def limits_v1(files: Files) -> tuple[DeviceLimit, ...]:
    """``254:0 1048576`` in each of V1_LIMITS; an empty file is a cgroup without that limit."""
    found: dict[bytes, list[int | None]] = {}
    for which, name in enumerate(V1_LIMITS):
        for device, most in files.value(name, parse_device_values).items():
            found.setdefault(device, [None] * len(V1_LIMITS))[which] = most
    return tuple(DeviceLimit(_text(device), *limits) for device, limits in found.items())


FIELDS: tuple[Field, ...] = (
    Field("io.limits", "", "io", rule(V1_LIMITS[0], limits_v1, *V1_LIMITS[1:]), file("io.max", limits_v2)),
    Field(
        "io.devices",
        "",
        "io",
        rule(_THROTTLE, devices_v1, *V1_BYTES, *V1_OPERATIONS.values()),
        file("io.stat", devices_v2),
    ),
)


def _sums_v1(data: bytes) -> tuple[int, int]:
    read = written = 0
    for line in parse_device_operations(data):
        if line.operation == b"Read":
            read += line.value
        elif line.operation == b"Write":
            written += line.value
    return read, written


def _sums_v2(data: bytes) -> tuple[int, int]:
    lines = parse_nested_keyed(data) if data else []
    return sum(e.values.get(b"rbytes", 0) for e in lines), sum(e.values.get(b"wbytes", 0) for e in lines)


def sums(version: Version) -> tuple[tuple[str, ...], Callable[[bytes], tuple[int, int]]]:
    """For readers that want no devices: the files in the order in which they are believed, and how to get the bytes
    that were read and written from one of them."""
    return (V1_BYTES, _sums_v1) if version is Version.V1 else (("io.stat",), _sums_v2)
