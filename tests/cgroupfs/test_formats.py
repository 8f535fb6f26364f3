"""Every parser of cgroupfs.formats: good, malformed, what is written is read back, and fuzz."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cgroupfs import MAX, ParseError, Stall
from cgroupfs.controllers.freezer import frozen_v1, frozen_v2
from cgroupfs.controllers.memory import limit_v1
from cgroupfs.formats import (
    DeviceLine,
    NestedLine,
    Quota,
    find_key,
    flat_key,
    is_number,
    parse_cpu_list,
    parse_cpu_max,
    parse_device_operations,
    parse_flat_keyed,
    parse_limit,
    parse_nested_keyed,
    parse_pids,
    parse_pressure,
    parse_signed,
    parse_value,
)
from cgroupfs.hierarchy import parse_mountinfo
from often import often

U64 = (1 << 64) - 1
NOT_NUMBERS = [b"", b"\n", b" ", b"-1", b"+1", b"1_0", b"0x10", b"1.0", b"1 2", b"max", b"\xc2\xb2"]
NOT_NUMBERS += [b"18446744073709551616", b"1" * 21, b"0" * 21, b"9" * 5000, b"12\x00"]
numbers = st.integers(0, U64)
keys = st.from_regex(rb"[a-z][a-z0-9_.]{0,20}", fullmatch=True)
devices = st.tuples(st.integers(0, 4095), st.integers(0, 1 << 20)).map(lambda pair: b"%d:%d" % pair)

Parse = Callable[[bytes], object]
PARSERS: list[Parse] = [
    parse_value, parse_signed, parse_limit, flat_key(b"key"), parse_flat_keyed, parse_nested_keyed,
    parse_device_operations, parse_pressure, parse_cpu_max, parse_cpu_list, parse_pids, parse_mountinfo, limit_v1,
    lambda data: find_key(data, b"key"), frozen_v1, frozen_v2,
]  # fmt: skip
WORDS = (
    b"some full avg10= avg60= avg300= total= 0.00 99.99 rbytes= wbytes= 8:0 254:16 Read Write Total max key frozen "
    b"THAWED FROZEN - , : = 0 1 18446744073709551615 99999999999999999999 0-3 3-1 cgroup cgroup2 rw,cpu / \\040 "
    b"\xff \x00 \x0c \x85"
).split(b" ")
kernelish = st.lists(st.sampled_from([*WORDS, b" ", b"\n", b"\t", b"\r"])).map(b"".join)
some = settings(max_examples=often(250))


@some
@given(data=st.binary(max_size=200) | kernelish)
def test_no_content_raises_anything_but_parse_error(data: bytes) -> None:
    for parse in PARSERS:
        try:
            parse(data)
        except ParseError as error:
            assert error.path == "" and len(str(error)) < 300, parse


# -- good

BLKIO = b"8:0 Read 4096\n8:0 Write 1\n8:0 Total 4097\nRead 5\n(unknown) Read 6\nTotal 4097\n"
PRESSURE = b"some avg10=1.50 avg60=0.25 avg300=100.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
FLAT = b"usage_usec 12\nfuture.key 1.5\nonly_a_key\n 7\nnegative -1\n\nuser_usec 5\n"


@pytest.mark.parametrize(
    ("parse", "data", "value"),
    [
        *((parse_limit, data, MAX) for data in (b"max", b"max\n", b" max \n")),
        # A v1 limit near the largest signed number is none, for every page size.
        *((limit_v1, b"%d\n" % ((1 << 63) - 1 & ~(page - 1)), MAX) for page in (4096, 16384, 65536)),
        (limit_v1, b"%d\n" % U64, MAX),
        (limit_v1, b"%d\n" % ((1 << 63) - 65537), (1 << 63) - 65537),
        (limit_v1, b"0\n", 0),
        (flat_key(b"usage_usec", 1000), FLAT, 12_000),  # bad lines cost their own keys only
        (flat_key(b"user_usec"), FLAT, 5),
        (flat_key(b"system_usec"), FLAT, None),
        (flat_key(b"total_a", otherwise=b"a"), b"a 1\ntotal_a 2\n", 2),
        (flat_key(b"total_a", otherwise=b"a"), b"a 1\n", 1),
        (parse_nested_keyed, b"8:0\n", []),
        (parse_nested_keyed, b"", []),
        # Counters behind several devices on one line belong to the last.
        (parse_nested_keyed, b"8:0 8:16 rbytes=1 wbytes=2\n", [NestedLine(b"8:16", {b"rbytes": 1, b"wbytes": 2})]),
        (parse_nested_keyed, b"8:0 rbytes=1 cost.vrate=100.00 cost.usage=-1\nnonsense\n",
         [NestedLine(b"8:0", {b"rbytes": 1})]),
        (parse_device_operations, BLKIO, [DeviceLine(b"8:0", b"Read", 4096), DeviceLine(b"8:0", b"Write", 1)]),
        *((parse_device_operations, data, []) for data in (b"", b"\n", b"Total 0\n")),
        (parse_pressure, PRESSURE, {b"some": Stall(1.5, 0.25, 100.0, 123), b"full": Stall(0.0, 0.0, 0.0, 7)}),
        (parse_pressure, PRESSURE.split(b"\n")[0], {b"some": Stall(1.5, 0.25, 100.0, 123)}),  # CPU before 5.13
        (parse_cpu_max, b"50000 100000\n", Quota(50000, 100000)),
        (parse_cpu_max, b"max 100000\n", Quota(MAX, 100000)),
        (parse_cpu_list, b"\n", set()),
        (parse_cpu_list, b"0\n", {0}),
        (parse_cpu_list, b"0-2,16\n", {0, 1, 2, 16}),
        (parse_cpu_list, b"3-3", {3}),
        (parse_cpu_list, b"0-65535", set(range(65536))),
        (parse_pids, b"1\n0\n23\nx\n-4\n99999999999\n", [1, 23]),  # 0: of another namespace
        (parse_pids, b"", []),
        (frozen_v1, b"FROZEN\n", True),
        (frozen_v1, b"FREEZING\n", False),
        (frozen_v1, b"THAWED\n", False),
        (frozen_v2, b"populated 1\nfrozen 1\n", True),
        (frozen_v2, b"populated 1\nfrozen 0\n", False),
    ],
)  # fmt: skip
def test_what_a_file_says(parse: Parse, data: bytes, value: object) -> None:
    assert parse(data) == value


def test_a_key_is_found_only_as_a_whole_word_at_the_start_of_a_line() -> None:
    data = b"total_inactive_file 9\ninactive_file_x 8\ninactive_file 7\nfile 6\n"
    keys = {b"inactive_file": 7, b"file": 6, b"total_inactive_file": 9, b"inactive": None}
    assert {key: find_key(data, key) for key in keys} == keys
    assert find_key(b"", b"file") is None


# -- malformed, and not zero

MALFORMED: list[tuple[Parse, list[bytes]]] = [
    (parse_value, NOT_NUMBERS),
    (parse_limit, [*(each for each in NOT_NUMBERS if each != b"max"), b"MAX", b"maxx", b"max 1", b"infinity"]),
    (parse_signed, [each for each in NOT_NUMBERS if each != b"-1"]),
    (flat_key(b"wanted"), [b"", b"\n", b"garbage\n", b"key value\n", b"\x00" * 10]),
    (flat_key(b"future.key"), [FLAT]),
    (flat_key(b"negative"), [FLAT]),
    (lambda data: find_key(data, b"usage_usec"), [b"usage_usec many\n", b"usage_usec "]),
    (parse_flat_keyed, [b"", b"garbage\n", b"key value\n", b"key 18446744073709551616\n", b"\xff 1\n"]),
    (parse_nested_keyed, [b"nonsense\n", b"8:0 rbytes=x\nfoo bar\n", b"rbytes=1\n", b"\x00\xff"]),
    (parse_device_operations, [b"garbage\n", b"8:0 Read many\n", b"\xff\x00"]),
    (parse_pressure, [b"", b"some\n", *(PRESSURE.split(b"\n")[0].replace(*change) for change in (
        (b"1.50", b"x"), (b"123", b"-1"), (b"123", b"123 more"), (b"some", b"most"),
    ))]),
    (parse_cpu_max, [b"", b"max", b"100000", b"max max", b"1 2 3", b"-1 100000"]),
    (parse_cpu_list, [b"3-1", b"a", b"0-", b"-1", b"0-65536", b"0-18446744073709551615", b"1 2", b"0-65535," * 8000]),
    (frozen_v1, [b"frozen", b""]),
    (frozen_v2, [b"populated 1\n", b"frozen yes\n"]),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "data"), [(parse, data) for parse, several in MALFORMED for data in several])
def test_what_is_malformed_is_said_to_be_and_shown_shortened(parse: Parse, data: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse(data)
    assert len(str(caught.value)) < 300
    assert parse is not parse_value or not is_number(data)


def test_an_error_shows_file_and_line_once_they_are_known() -> None:
    with pytest.raises(ParseError) as caught:
        parse_value(b"x" * 100_000)
    assert len(str(caught.value)) < 100
    error = ParseError("not a number: b'x'")
    assert str(error) == "not a number: b'x'"
    error.path, error.line = "/sys/fs/cgroup/a/cpu.stat", 3
    assert str(error) == "/sys/fs/cgroup/a/cpu.stat:3: not a number: b'x'"


# -- what is written is read back


@some
@given(numbers)
def test_a_value_is_read_back(value: int) -> None:
    for end in (b"\n", b""):
        assert parse_value(b"%d%b" % (value, end)) == parse_limit(b"%d%b" % (value, end)) == value
    assert (parse_signed(b"%d\n" % value), parse_signed(b"-%d\n" % value)) == (value, -value)


@some
@given(st.dictionaries(keys, numbers, min_size=1, max_size=20))
def test_a_flat_keyed_file_is_read_back(values: dict[bytes, int]) -> None:
    data = b"".join(b"%s %d\n" % item for item in values.items())
    for key, value in values.items():
        assert flat_key(key)(data) == find_key(data, key) == find_key(data.rstrip(b"\n"), key) == value
    bad = b"no number\nkey 18446744073709551616\n"
    assert parse_flat_keyed(data + bad) == {key.decode(): value for key, value in values.items()}


@some
@given(kernelish)
@example(b"key ")
@example(b"key 6")
def test_a_parser_of_one_key_finds_what_find_key_finds(data: bytes) -> None:
    def outcome(find: Callable[[bytes], int | None], text: bytes) -> int | str | None:
        try:
            return find(text)
        except ParseError as error:
            return None if "no line of the form" in str(error) else str(error)

    for text in (data, b"key 5\n" + data, data + b"\nkey 7"):
        assert outcome(flat_key(b"key"), text) == outcome(lambda text: find_key(text, b"key"), text)


@some
@given(st.dictionaries(devices, st.dictionaries(keys, numbers, min_size=1, max_size=4), max_size=4))
def test_a_nested_keyed_file_is_read_back(found: dict[bytes, dict[bytes, int]]) -> None:
    data = b"".join(
        b"%s %s\n" % (name, b" ".join(b"%s=%d" % item for item in values.items())) for name, values in found.items()
    )
    assert parse_nested_keyed(data) == [NestedLine(*item) for item in found.items()]


@some
@given(st.lists(st.tuples(devices, st.sampled_from([b"Read", b"Write", b"Sync", b"Discard"]), numbers)))
def test_a_blkio_file_is_read_back(lines: list[tuple[bytes, bytes, int]]) -> None:
    data = b"".join(b"%s %s %d\n" % line for line in lines) + b"Total 0\n"
    assert parse_device_operations(data) == [DeviceLine(*line) for line in lines]


@some
@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 10000), numbers)
def test_a_pressure_line_is_read_back(avg10: int, avg60: int, avg300: int, total: int) -> None:
    data = b"full avg10=%.2f avg60=%.2f avg300=%.2f total=%d\n" % (avg10 / 100, avg60 / 100, avg300 / 100, total)
    assert parse_pressure(data)[b"full"] == Stall(avg10 / 100, avg60 / 100, avg300 / 100, total)


@some
@given(st.frozensets(st.integers(0, 300)), st.lists(st.integers(1, 1 << 22)))
def test_lists_of_cpus_and_of_pids_are_read_back(cpus: frozenset[int], pids: list[int]) -> None:
    assert parse_cpu_list(",".join(map(str, sorted(cpus))).encode() + b"\n") == cpus
    assert parse_pids(b"".join(b"%d\n" % pid for pid in pids)) == pids
