"""/proc/<pid>/net/dev."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import ParseError
from cgstatd.procfs.net_dev import Interface, parse_net_dev, parse_traffic
from helpers import HOSTS, NET_DEV, recorded

HEADER = NET_DEV.encode().partition(b"    lo:")[0]
GOOD = NET_DEV.format(lo=7, rx=1158, tx=782).encode()


def line(name: bytes, rx: int, tx: int) -> bytes:
    return b"%s: %d 1 2 3 0 0 0 0 %d 4 5 6 0 0 0 0\n" % (name, rx, tx)


def test_every_interface_has_its_counters_lo_included() -> None:
    assert parse_net_dev(HEADER + line(b"  eth0", 10, 20) + line(b"    lo", 1, 1)) == [
        Interface("eth0", 10, 1, 2, 3, 20, 4, 5, 6),
        Interface("lo", 1, 1, 2, 3, 1, 4, 5, 6),
    ]


def test_traffic_is_the_sum_over_all_interfaces_but_lo() -> None:
    assert parse_traffic(GOOD + line(b"  eth1", 2, 3)) == (1160, 785)


@pytest.mark.parametrize("name", [b"lo0", b"xlo", b"lo.1", b"LO"])
def test_only_lo_itself_is_left_out(name: bytes) -> None:
    assert parse_traffic(HEADER + line(name, 5, 6)) == (5, 6)


def test_a_namespace_with_lo_alone_has_no_traffic() -> None:
    assert parse_traffic(HEADER + line(b"    lo", 5, 6)) == (0, 0)


def test_a_header_alone_is_no_traffic() -> None:
    assert parse_traffic(HEADER) == (0, 0)


def test_a_number_may_touch_the_colon() -> None:
    assert parse_traffic(HEADER + b"  eth0:1158 1 0 0 0 0 0 0 782 1 0 0 0 0 0 0\n") == (1158, 782)


def test_an_alias_keeps_the_colon_in_its_name() -> None:
    assert parse_net_dev(HEADER + line(b"eth0:1", 5, 6))[0].name == "eth0:1"


def test_more_columns_of_a_future_kernel_are_ignored() -> None:
    assert parse_traffic(HEADER + b"eth0: 5 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0 99 98\n") == (5, 6)


def test_a_malformed_line_costs_itself_only() -> None:
    bad = b"eth1: 1 2 3\neth2: -1 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0\nnothing\n: 5 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0\n\n"
    assert parse_traffic(GOOD + bad) == (1158, 782)


def test_a_name_that_is_not_utf_8_is_shown_with_replacements() -> None:
    assert parse_net_dev(HEADER + line(b"\xff\xfe", 5, 6))[0].name == "\ufffd\ufffd"


@pytest.mark.parametrize("data", [b"", b"\n", b"eth0: 1 2 3", b"\0" * 100, b"Inter"])
def test_what_has_no_header_is_an_error(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_traffic(data)
    with pytest.raises(ParseError):
        parse_net_dev(data)


@given(st.binary(max_size=300))
def test_nothing_else_is_raised_whatever_follows_the_header(data: bytes) -> None:
    received, sent = parse_traffic(HEADER + data)
    assert received >= 0 and sent >= 0


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=8))
def test_both_parsers_agree(counters: list[tuple[int, int]]) -> None:
    data = HEADER + b"".join(line(b"eth%d" % n, rx, tx) for n, (rx, tx) in enumerate(counters))
    parsed = parse_net_dev(data + line(b"lo", 1, 1))
    others = [each for each in parsed if each.name != "lo"]
    assert parse_traffic(data) == (sum(i.rx_bytes for i in others), sum(i.tx_bytes for i in others))


@pytest.mark.parametrize("host", HOSTS)
def test_recorded_files_are_understood(host: str) -> None:
    root, _ = recorded(host)
    names = {each.name for each in parse_net_dev(root.read("/proc/1/net/dev"))}
    assert {"lo", "eth0", "docker0"} <= names
