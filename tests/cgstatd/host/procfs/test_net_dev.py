"""/proc/<pid>/net/dev."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import ParseError
from cgstatd.host.procfs.net_dev import MOST_LISTED, Interface, list_net_dev, parse_net_dev, parse_traffic
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


@given(st.lists(st.tuples(st.integers(0, 2**60), st.integers(0, 2**60)), max_size=8))
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


# -- bounds


def test_of_many_interfaces_some_are_listed_and_all_are_in_the_sums() -> None:
    data = HEADER + line(b"lo", 9, 9) + b"".join(line(b"veth%d" % n, 10, 20) for n in range(5000))
    listed = list_net_dev(data)
    assert [each.name for each in listed.interfaces[:2]] == ["veth0", "veth1"]
    assert (len(listed.interfaces), listed.left_out) == (MOST_LISTED, 5000 - MOST_LISTED)
    assert (listed.rx_bytes, listed.tx_bytes) == parse_traffic(data) == (50_000, 100_000)


@pytest.mark.parametrize("digits", [21, 400, 5000])
def test_a_number_of_any_length_costs_its_own_line_only(digits: int) -> None:
    bad = b"eth9: %b 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0\n" % (b"9" * digits)
    assert parse_traffic(GOOD + bad) == (1158, 782)
    assert list_net_dev(GOOD + bad)[2:] == (1158, 782)
    assert [each.name for each in parse_net_dev(GOOD + bad)] == ["lo", "eth0"]


def test_sums_that_no_counter_holds_are_an_error() -> None:
    data = HEADER + line(b"a", 2**64 - 1, 0) + line(b"b", 2**64 - 1, 0)
    with pytest.raises(ParseError):
        parse_traffic(data)
    with pytest.raises(ParseError):
        list_net_dev(data)


@given(st.integers(1, 60), st.integers(1, 400))
def test_a_file_in_pieces_says_the_same(interfaces: int, size: int) -> None:
    data = HEADER + b"".join(line(b"veth%d" % number, number, 2 * number) for number in range(interfaces))
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert parse_net_dev(pieces) == parse_net_dev(data)
    assert list_net_dev(pieces, 10) == list_net_dev(data, 10)
    assert parse_traffic(pieces) == parse_traffic(data)


def test_a_line_without_end_is_no_net_dev() -> None:
    with pytest.raises(ParseError, match="a line of more than 4096 bytes"):
        parse_traffic([HEADER, *[b"x" * 1000] * 5])
