"""/proc/<pid>/net/dev."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgroupfs import ParseError
from cgstatd.host.procfs.net_dev import MOST_LISTED, Interface, list_net_dev, parse_net_dev, parse_traffic
from helpers import HOSTS, NET_DEV, recorded
from often import often

HEADER = NET_DEV.encode().partition(b"    lo:")[0]
GOOD = NET_DEV.format(lo=7, rx=1158, tx=782).encode()


def line(name: bytes, rx: int, tx: int) -> bytes:
    return b"%s: %d 1 2 3 0 0 0 0 %d 4 5 6 0 0 0 0\n" % (name, rx, tx)


def test_every_interface_has_its_counters_lo_included() -> None:
    assert parse_net_dev(HEADER + line(b"  eth0", 10, 20) + line(b"    lo", 1, 1)) == [
        Interface("eth0", 10, 1, 2, 3, 20, 4, 5, 6),
        Interface("lo", 1, 1, 2, 3, 1, 4, 5, 6),
    ]
    names = [each.name for each in parse_net_dev(HEADER + line(b"\xff\xfe", 5, 6) + line(b"eth0:1", 5, 6))]
    assert names == ["\ufffd\ufffd", "eth0:1"], "no UTF-8; an alias"


COUNTERS = b"%b 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0"


@pytest.mark.parametrize(
    ("lines", "received", "sent"),
    [
        (GOOD + line(b"  eth1", 2, 3), 1160, 785),
        *((HEADER + line(name, 5, 6), 5, 6) for name in (b"lo0", b"xlo", b"lo.1", b"LO")),
        (HEADER + line(b"    lo", 5, 6), 0, 0),
        (HEADER, 0, 0),
        (HEADER + b"  eth0:1158 1 0 0 0 0 0 0 782 1 0 0 0 0 0 0\n", 1158, 782),
        (HEADER + b"eth0: " + COUNTERS % b"5" + b" 99 98\n", 5, 6),
        *((GOOD + bad + b"\n", 1158, 782) for bad in (
            b"eth1: 1 2 3", b"eth2: " + COUNTERS % b"-1", b"nothing", b": " + COUNTERS % b"5", b"",
            *(b"eth9: " + COUNTERS % (b"9" * digits) for digits in (21, 400, 5000)),
        )),
    ],
)  # fmt: skip
def test_traffic_is_the_sum_over_all_interfaces_but_lo_and_a_malformed_line_costs_itself(
    lines: bytes, received: int, sent: int
) -> None:
    assert parse_traffic(lines) == list_net_dev(lines)[2:] == (received, sent)
    others = [each for each in parse_net_dev(lines) if each.name != "lo"]
    assert sum(each.rx_bytes for each in others) == received


@pytest.mark.parametrize("data", [b"", b"\n", b"eth0: 1 2 3", b"\0" * 100, b"Inter"])
def test_what_has_no_header_is_an_error(data: bytes) -> None:
    for parse in (parse_traffic, parse_net_dev, list_net_dev):
        with pytest.raises(ParseError):
            parse(data)


@given(st.binary(max_size=300))
def test_nothing_else_is_raised_whatever_follows_the_header(data: bytes) -> None:
    received, sent = parse_traffic(HEADER + data)
    assert received >= 0 and sent >= 0


@pytest.mark.parametrize("host", HOSTS)
def test_recorded_files_are_understood(host: str) -> None:
    root, _ = recorded(host)
    names = {each.name for each in parse_net_dev(root.read("/proc/1/net/dev"))}
    assert {"lo", "eth0", "docker0"} <= names


# -- bounds


def test_of_many_interfaces_some_are_listed_and_all_are_in_the_sums() -> None:
    data = HEADER + line(b"lo", 9, 9) + b"".join(line(b"veth%d" % n, 10, 20) for n in range(5000))
    listed = list_net_dev(data)
    assert [each.name for each in listed.interfaces[:2]] == ["veth0", "veth1"]
    assert (len(listed.interfaces), listed.left_out) == (MOST_LISTED, 5000 - MOST_LISTED)
    assert (listed.rx_bytes, listed.tx_bytes) == parse_traffic(data) == (50_000, 100_000)


def test_sums_that_no_counter_holds_and_a_line_without_end_are_an_error() -> None:
    data = HEADER + line(b"a", 2**64 - 1, 0) + line(b"b", 2**64 - 1, 0)
    for parse in (parse_traffic, list_net_dev):
        with pytest.raises(ParseError):
            parse(data)
    with pytest.raises(ParseError, match="a line of more than 4096 bytes"):
        parse_traffic([HEADER, *[b"x" * 1000] * 5])


@settings(max_examples=often(100))
@given(st.lists(st.tuples(st.integers(0, 2**60), st.integers(0, 2**60)), max_size=8), st.integers(1, 400))
def test_all_parsers_agree_of_a_file_in_pieces_too(counters: list[tuple[int, int]], size: int) -> None:
    data = HEADER + line(b"lo", 1, 1) + b"".join(line(b"eth%d" % n, rx, tx) for n, (rx, tx) in enumerate(counters))
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    others = parse_net_dev(data)[1:]
    assert parse_traffic(data) == (sum(i.rx_bytes for i in others), sum(i.tx_bytes for i in others))
    assert parse_net_dev(pieces) == parse_net_dev(data)
    assert list_net_dev(pieces, 3) == list_net_dev(data, 3)
    assert parse_traffic(pieces) == parse_traffic(data)
