"""No number of any length in a file of /proc raises anything but ParseError, as int() does from 4,300 digits on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from cgroupfs import ParseError
from cgstatd.host.procfs.diskstats import parse_diskstats
from cgstatd.host.procfs.host_load import parse_loadavg, parse_uptime
from cgstatd.host.procfs.host_stat import parse_cpu_times, parse_host_stat
from cgstatd.host.procfs.meminfo import parse_mem_total, parse_meminfo, parse_page_counts
from cgstatd.host.procfs.net_dev import list_net_dev, parse_net_dev, parse_traffic
from cgstatd.host.procfs.pid_status import parse_start_ticks, parse_status
from cgstatd.host.procfs.vmstat import parse_scanned_pages

NET = b"Inter-|   Receive\n face |bytes\n  eth0: %b\n"
PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (parse_host_stat, b"cpu  1 2 3 4 5 6 7 8\ncpu0 1 2 3 4\nbtime 5\n"),
    (parse_cpu_times, b"cpu0 1 2 3 4 5 6 7 8\n"),
    (parse_mem_total, b"MemTotal: 5 kB\n"),
    (parse_meminfo, b"MemTotal: 5 kB\nMemFree: 6 kB\n"),
    (parse_page_counts, b"HugePages_Total: 7\n"),
    (parse_loadavg, b"1.5 2.5 3.5 4/286 2936\n"),
    (parse_uptime, b"138.51 18.18\n"),
    (parse_diskstats, b"254 0 vda " + b"1 " * 17),
    (parse_scanned_pages, b"pgscan_kswapd 5\n"),
    (parse_status, b"Name:\tx\nRssAnon: 5 kB\nVmSwap: 6 kB\n"),
    (parse_start_ticks, b"670 (x) S " + b"1 " * 25),
    (parse_traffic, NET % (b"1 " * 16)),
    (parse_net_dev, NET % (b"1 " * 16)),
    (list_net_dev, NET % (b"1 " * 16)),
]


@pytest.mark.parametrize(("parse", "data"), PARSERS, ids=[parse.__name__ for parse, _ in PARSERS])
@pytest.mark.parametrize("digits", [20, 21, 308, 4301, 100_000])
def test_a_number_of_any_length_is_malformed_or_left_out_and_what_is_left_can_be_sent(
    parse: Callable[[bytes], object], data: bytes, digits: int
) -> None:
    parse(data)
    for position in range(len(data)):
        if data[position : position + 1].isdigit():
            planted = data[:position] + b"9" * digits + data[position + 1 :]
            try:
                found = parse(planted)
            except ParseError:
                continue
            msgspec.json.encode(found)
