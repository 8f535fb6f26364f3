"""Block I/O records: v2's io.stat, and v1's files in the order in which they are believed."""

from __future__ import annotations

import errno

import pytest

from cgroupfs import Absent, DeviceIo, DeviceLimit, ParseError, Version, select
from cgroupfs.controllers.io import V1_BYTES, V1_LIMITS, V1_OPERATIONS, limits_v2
from cgroupfs.records import IO
from helpers import LEGACY, UNIFIED, cgroup, read_record, reasons

CFQ, THROTTLE = "blkio.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"
BFQ, SUBTREE = "blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive"
ZERO = b"8:0 Read 0\n8:0 Write 0\n8:0 Total 0\nTotal 0\n"
SOME = b"8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Discard 5\n8:0 Total 35\n8:16 Read 1\n8:16 Total 1\nTotal 36\n"


def test_a_rootless_container_has_no_io_controller_and_says_so_instead_of_zero() -> None:
    io = cgroup(UNIFIED, "rl-burn").io()
    assert io.devices is None and io.source == ""
    assert reasons(io) == {"devices": Absent.FILE_ABSENT}


def test_v1_that_counts_nothing_says_zero_and_that_nobody_counted() -> None:
    io = cgroup(LEGACY, "web").io()
    assert io.devices == ()
    assert io.source == THROTTLE
    assert reasons(io) == {"devices": Absent.NOT_COUNTED}


def test_v1_has_these_files_in_the_order_in_which_they_are_believed() -> None:
    assert V1_BYTES == (CFQ, THROTTLE, BFQ, SUBTREE)
    assert V1_OPERATIONS == {
        CFQ: "blkio.io_serviced_recursive",
        THROTTLE: "blkio.throttle.io_serviced",
        BFQ: "blkio.bfq.io_serviced_recursive",
        SUBTREE: "blkio.throttle.io_serviced_recursive",
    }


def test_v1_has_a_limit_of_a_device_in_each_of_four_files() -> None:
    throttle = "blkio.throttle"
    read, written = f"{throttle}.read_bps_device", f"{throttle}.write_bps_device"
    reads, writes = f"{throttle}.read_iops_device", f"{throttle}.write_iops_device"
    assert (read, written, reads, writes) == V1_LIMITS
    limits = select("io.limits")
    files: dict[str, bytes | int] = dict.fromkeys(V1_LIMITS, b"")
    assert read_record(limits, Version.V1, dict(files)).values == {"io.limits": ()}
    files |= {read: b"254:0 1048576\n8:0 5\n", written: b"254:0 524288\n", reads: b"254:0 100\nx\n", writes: b"8:0 7\n"}
    expected = (DeviceLimit("254:0", 1048576, 524288, 100, None), DeviceLimit("8:0", 5, None, None, 7))
    assert read_record(limits, Version.V1, dict(files)).values == {"io.limits": expected}
    files[writes] = b"garbage\n"
    assert read_record(limits, Version.V1, dict(files)).values == {"io.limits": None}


# -- v2


def test_v2_reads_every_device_and_leaves_unknown_keys_out() -> None:
    data = b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7\n8:16\n254:0 rbytes=9\n"
    io = read_record(IO, Version.V2, {"io.stat": data})
    assert io.devices == (DeviceIo("8:0", 1, 2, 3, 4, 5, 6), DeviceIo("254:0", rbytes=9))
    assert (io.source, io.missing) == ("io.stat", ())
    assert read_record(IO, Version.V2, {"io.stat": b""}).devices == ()


# -- v1


COUNTED = (DeviceIo("8:0", rbytes=10, wbytes=20, dbytes=5), DeviceIo("8:16", rbytes=1))


@pytest.mark.parametrize(
    ("files", "source"),
    [
        *((dict.fromkeys(V1_BYTES, ZERO) | {name: SOME}, name) for name in V1_BYTES),
        ({THROTTLE: SOME, BFQ: SOME.replace(b" 10", b" 99"), SUBTREE: SOME}, THROTTLE),
        ({THROTTLE: ZERO, BFQ: SOME, SUBTREE: SOME.replace(b" 10", b" 99")}, BFQ),
        ({THROTTLE: b"8:0 Read 0\n8:0 Discard 7\nTotal 7\n", SUBTREE: SOME}, SUBTREE),
    ],
)
def test_v1_takes_the_first_file_that_counts_more_than_discards(files: dict[str, bytes | int], source: str) -> None:
    io = read_record(IO, Version.V1, files)
    assert (io.source, io.devices) == (source, COUNTED)


@pytest.mark.parametrize(
    ("serviced", "operations", "missing"),
    [
        (b"8:0 Read 3\n8:0 Write 4\nTotal 7\n", (3, 4), {}),
        (errno.ENOENT, (None, None), {"rios": Absent.FILE_ABSENT}),
        (b"garbage", (None, None), {"rios": Absent.MALFORMED}),
    ],
)
def test_v1_operations_come_from_the_same_counter(
    serviced: bytes | int, operations: tuple[int | None, int | None], missing: dict[str, Absent]
) -> None:
    io = read_record(IO, Version.V1, {THROTTLE: SOME, "blkio.throttle.io_serviced": serviced})
    assert io.devices is not None and io.devices[0].rbytes == 10
    assert ((io.devices[0].rios, io.devices[0].wios), reasons(io)) == (operations, missing)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (errno.EACCES, Absent.PERMISSION),
        (errno.EIO, Absent.READ_FAILED),
        (b"garbage", Absent.MALFORMED),
        (errno.ENOENT, Absent.FILE_ABSENT),
    ],
)
def test_v1_with_a_bad_file_where_no_other_counts_is_absent(content: bytes | int, reason: Absent) -> None:
    for others in ({}, {SUBTREE: ZERO}, {CFQ: ZERO, BFQ: b"Total 0\n"}):
        if not others or content != errno.ENOENT:
            io = read_record(IO, Version.V1, {THROTTLE: content, **others})
            assert (io.devices, reasons(io)) == (None, {"devices": reason})
    io = read_record(IO, Version.V1, {THROTTLE: content, SUBTREE: SOME})
    assert io.source == SUBTREE, "another file counts: nothing is lost"


def test_limits_of_devices_and_what_has_none() -> None:
    assert limits_v2(b"") == ()
    assert limits_v2(
        b"8:16 rbps=2097152 wbps=max riops=max wiops=120\n254:0 rbps=max wbps=1 riops=max wiops=max\n"
    ) == (
        DeviceLimit("8:16", 2097152, None, None, 120),
        DeviceLimit("254:0", None, 1, None, None),
    )
    with pytest.raises(ParseError):
        limits_v2(b"nonsense\n")
