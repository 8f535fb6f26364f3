"""Block I/O records: v2's io.stat, and v1's files in the order in which they are believed."""

from __future__ import annotations

import errno

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Absent, CgroupGone, DeviceIo, DeviceLimit, ParseError, Version, select
from cgroupfs.controllers.io import V1_BYTES, V1_LIMITS, V1_OPERATIONS, limits_v2
from cgroupfs.records import IO
from helpers import HOSTS, LEGACY, UNIFIED, at_its_real_path, cgroup, cgroups, container, read_record, reasons

CFQ, THROTTLE = "blkio.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"
BFQ, SUBTREE = "blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive"
ZERO = b"8:0 Read 0\n8:0 Write 0\n8:0 Total 0\nTotal 0\n"
SOME = b"8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Discard 5\n8:0 Total 35\n8:16 Read 1\n8:16 Total 1\nTotal 36\n"
NOTHING = b"Total 0\n"


@pytest.mark.parametrize("host", [UNIFIED, LEGACY])
def test_a_container_at_its_real_path_is_what_the_engine_said(fs: FakeFilesystem, host: str) -> None:
    entry = container(host, "cache")
    io = at_its_real_path(fs, host, "cache").io()
    assert io.devices is not None
    assert sum(device.rbytes or 0 for device in io.devices) == entry["t0"]["blockRead"]
    assert sum(device.wbytes or 0 for device in io.devices) == entry["t0"]["blockWrite"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("reading", ["t0", "t1"])
def test_every_docker_container_is_what_the_engine_said(host: str, reading: str) -> None:
    for name, group in cgroups(host, reading):
        figures = container(host, name).get(reading)
        if figures:
            devices = group.io().devices or ()
            found = sum(d.rbytes or 0 for d in devices), sum(d.wbytes or 0 for d in devices)
            assert found == (figures["blockRead"], figures["blockWrite"]), name


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


def test_v2_that_has_done_no_io_is_no_device() -> None:
    assert read_record(IO, Version.V2, {"io.stat": b""}).devices == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (errno.ENOENT, Absent.FILE_ABSENT),
        (errno.EACCES, Absent.PERMISSION),
        (errno.EOPNOTSUPP, Absent.UNSUPPORTED),
        (b"garbage\n", Absent.MALFORMED),
    ],
)
def test_v2_that_cannot_be_read_is_absent_and_not_zero(content: bytes | int, reason: Absent) -> None:
    io = read_record(IO, Version.V2, {"io.stat": content})
    assert io.devices is None
    assert reasons(io) == {"devices": reason}


# -- v1


@pytest.mark.parametrize("name", V1_BYTES)
def test_v1_takes_the_one_file_that_counts(name: str) -> None:
    files: dict[str, bytes | int] = dict.fromkeys(V1_BYTES, ZERO)
    io = read_record(IO, Version.V1, files | {name: SOME})
    assert io.source == name
    assert io.devices is not None
    assert io.devices == (DeviceIo("8:0", rbytes=10, wbytes=20, dbytes=5), DeviceIo("8:16", rbytes=1))


def test_v1_believes_the_first_of_several_that_count() -> None:
    io = read_record(IO, Version.V1, {THROTTLE: SOME, BFQ: SOME.replace(b" 10", b" 99"), SUBTREE: SOME})
    assert io.source == THROTTLE
    assert read_record(IO, Version.V1, {THROTTLE: ZERO, BFQ: SOME, SUBTREE: SOME}).source == BFQ


def test_v1_that_counted_discards_only_is_not_counting() -> None:
    discards = b"8:0 Read 0\n8:0 Discard 7\nTotal 7\n"
    assert read_record(IO, Version.V1, {THROTTLE: discards, SUBTREE: SOME}).source == SUBTREE


def test_v1_operations_come_from_the_same_counter() -> None:
    serviced = b"8:0 Read 3\n8:0 Write 4\nTotal 7\n"
    io = read_record(IO, Version.V1, {THROTTLE: SOME, "blkio.throttle.io_serviced": serviced})
    assert io.devices is not None
    assert (io.devices[0].rios, io.devices[0].wios) == (3, 4)
    assert io.missing == ()
    io = read_record(IO, Version.V1, {THROTTLE: SOME})
    assert io.devices is not None and io.devices[0].rios is None
    assert reasons(io) == {"rios": Absent.FILE_ABSENT}
    io = read_record(IO, Version.V1, {THROTTLE: SOME, "blkio.throttle.io_serviced": b"garbage"})
    assert io.devices is not None and io.devices[0].rbytes == 10
    assert reasons(io) == {"rios": Absent.MALFORMED}


def test_v1_without_any_file_or_directory_is_absent() -> None:
    assert reasons(read_record(IO, Version.V1, {})) == {"devices": Absent.FILE_ABSENT}
    assert reasons(read_record(IO, Version.V1, None)) == {"devices": Absent.CONTROLLER_OFF}
    assert read_record(IO, Version.V1, None).devices is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(errno.EACCES, Absent.PERMISSION), (errno.EIO, Absent.READ_FAILED), (b"garbage", Absent.MALFORMED)],
)
def test_v1_with_a_bad_file_where_no_other_counts_is_absent(content: bytes | int, reason: Absent) -> None:
    for others in ({}, {SUBTREE: ZERO}, {CFQ: ZERO, BFQ: NOTHING}):
        io = read_record(IO, Version.V1, {THROTTLE: content, **others})
        assert io.devices is None
        assert reasons(io) == {"devices": reason}
    io = read_record(IO, Version.V1, {THROTTLE: content, SUBTREE: SOME})
    assert io.source == SUBTREE, "another file counts: nothing is lost"


def test_gone_is_gone_in_both_versions() -> None:
    with pytest.raises(CgroupGone):
        read_record(IO, Version.V1, {THROTTLE: ZERO, SUBTREE: errno.ENODEV})
    with pytest.raises(CgroupGone):
        read_record(IO, Version.V2, {"io.stat": errno.ENODEV})


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
