"""/proc/diskstats and /proc/vmstat: what says that a disk is busy, and that the host is short of memory."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import DeviceIo, ParseError
from cgstatd.host.procfs.diskstats import DiskStats, parse_diskstats
from cgstatd.host.procfs.vmstat import parse_scanned_pages

VDA = b" 254       0 vda 191950 8956 633773602 435132 25134 155933 11449080 51473 0 141104 491395 14235 59 1053304 4637 3013 151\n"  # noqa: E501  the kernel's own width
OLD = b"   8       1 sda1 3 0 2 9 4 0 6 9 0 50 99\n"


def test_a_device_is_busy_while_it_reads_writes_and_flushes() -> None:
    vda = DiskStats(DeviceIo("254:0", 633773602 * 512, 11449080 * 512, 191950, 25134), 141104 + 151)
    assert parse_diskstats(VDA + OLD) == [vda, DiskStats(DeviceIo("8:1", 1024, 3072, 3, 4), 50)]


def test_malformed_lines_are_left_out_and_a_file_of_them_is_refused() -> None:
    assert parse_diskstats(b"8 0 sda 1 2 3\nx\n" + OLD + b"8 0 sdb 1 2 3 4 5 6 7 8 9 x 11\n")[0].busy_ms == 50
    assert parse_diskstats(b"") == []
    with pytest.raises(ParseError):
        parse_diskstats(b"8 0 sda 1 2 3\n")


def test_pages_that_were_looked_at_for_the_host_are_those_of_kswapd_and_of_programs() -> None:
    data = b"pgscan_kswapd 5\npgscan_direct 6\npgscan_direct_throttle 7\npgscan_file 436920141\nnr_free_pages x\n"
    assert parse_scanned_pages(data) == 11
    assert parse_scanned_pages(b"pgscan_kswapd_normal 5\n") is None  # before 4.8


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    pages = parse_scanned_pages(data)
    assert pages is None or pages >= 0
    with contextlib.suppress(ParseError):
        assert all(each.busy_ms >= 0 for each in parse_diskstats(data))
