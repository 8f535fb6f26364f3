"""Every parser of cgroupfs.formats: good, malformed, edges, round trips, and fuzz that may raise ParseError only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
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

U64 = (1 << 64) - 1
NOT_NUMBERS = [b"", b"\n", b" ", b"-1", b"+1", b"1_0", b"0x10", b"1.0", b"1 2", b"max", b"\xc2\xb2"]
NOT_NUMBERS += [b"18446744073709551616", b"1" * 21, b"0" * 21, b"9" * 5000, b"12\x00"]
numbers = st.integers(0, U64)
keys = st.from_regex(rb"[a-z][a-z0-9_.]{0,20}", fullmatch=True)
devices = st.tuples(st.integers(0, 4095), st.integers(0, 1 << 20)).map(lambda pair: b"%d:%d" % pair)

PARSERS: list[Callable[[bytes], object]] = [
    parse_value,
    parse_signed,
    parse_limit,
    flat_key(b"key"),
    parse_flat_keyed,
    parse_nested_keyed,
    parse_device_operations,
    parse_pressure,
    parse_cpu_max,
    parse_cpu_list,
    parse_pids,
    parse_mountinfo,
    limit_v1,
    lambda data: find_key(data, b"key"),
    frozen_v1,
    frozen_v2,
]
WORDS = (
    b"some full avg10= avg60= avg300= total= 0.00 99.99 rbytes= wbytes= 8:0 254:16 Read Write Total max key frozen "
    b"THAWED FROZEN - , : = 0 1 18446744073709551615 99999999999999999999 0-3 3-1 cgroup cgroup2 rw,cpu / \\040 "
    b"\xff \x00 \x0c \x85"
).split(b" ")
kernelish = st.lists(st.sampled_from([*WORDS, b" ", b"\n", b"\t", b"\r"])).map(b"".join)


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.binary(max_size=200) | kernelish)
def test_no_content_raises_anything_but_parse_error(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        parse(data)
    except ParseError as error:
        assert error.path == ""
        assert len(str(error)) < 300


@given(numbers)
def test_a_value_is_read_back(value: int) -> None:
    assert parse_value(b"%d\n" % value) == value
    assert parse_value(b"%d" % value) == value
    assert parse_limit(b"%d\n" % value) == value
    assert parse_signed(b"%d\n" % value) == value
    assert parse_signed(b"-%d\n" % value) == -value


@pytest.mark.parametrize("data", NOT_NUMBERS)
def test_what_is_not_an_unsigned_64_bit_decimal_is_malformed(data: bytes) -> None:
    assert not is_number(data)
    with pytest.raises(ParseError):
        parse_value(data)
    if data.strip() != b"max":
        with pytest.raises(ParseError):
            parse_limit(data)
    if data != b"-1":
        with pytest.raises(ParseError):
            parse_signed(data)


def test_a_long_malformed_value_is_shown_shortened() -> None:
    with pytest.raises(ParseError) as caught:
        parse_value(b"x" * 100_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("data", [b"max", b"max\n", b" max \n"])
def test_max_is_a_limit_set_to_none_and_not_a_number(data: bytes) -> None:
    assert parse_limit(data) is MAX


@pytest.mark.parametrize("data", [b"MAX", b"maxx", b"max 1", b"infinity"])
def test_only_the_word_max_is_max(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_limit(data)


def test_a_v1_limit_near_the_largest_signed_number_is_none_for_every_page_size() -> None:
    for page in (4096, 16384, 65536):
        assert limit_v1(b"%d\n" % ((1 << 63) - 1 & ~(page - 1))) is MAX
    assert limit_v1(b"%d\n" % U64) is MAX
    assert limit_v1(b"%d\n" % ((1 << 63) - 65537)) == (1 << 63) - 65537
    assert limit_v1(b"0\n") == 0


# -- flat keyed


@given(st.dictionaries(keys, numbers, min_size=1))
def test_a_flat_keyed_file_is_read_back(values: dict[bytes, int]) -> None:
    data = b"".join(b"%s %d\n" % item for item in values.items())
    for key, value in values.items():
        assert flat_key(key)(data) == find_key(data, key) == value
        assert find_key(data.rstrip(b"\n"), key) == value


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


def test_bad_lines_of_a_flat_keyed_file_cost_their_own_keys_only() -> None:
    data = b"usage_usec 12\nfuture.key 1.5\nonly_a_key\n 7\nnegative -1\n\nuser_usec 5\n"
    assert (flat_key(b"usage_usec", 1000)(data), flat_key(b"user_usec")(data)) == (12_000, 5)
    assert flat_key(b"system_usec")(data) is None
    for bad in (b"future.key", b"negative"):
        with pytest.raises(ParseError):
            flat_key(bad)(data)


def test_a_key_that_is_not_there_may_have_another_name() -> None:
    assert flat_key(b"total_a", otherwise=b"a")(b"a 1\ntotal_a 2\n") == 2
    assert flat_key(b"total_a", otherwise=b"a")(b"a 1\n") == 1


@pytest.mark.parametrize("data", [b"", b"\n", b"garbage\n", b"key value\n", b"\x00" * 10])
def test_a_file_without_one_key_is_malformed(data: bytes) -> None:
    with pytest.raises(ParseError):
        flat_key(b"wanted")(data)


def test_a_key_is_found_only_as_a_whole_word_at_the_start_of_a_line() -> None:
    data = b"total_inactive_file 9\ninactive_file_x 8\ninactive_file 7\nfile 6\n"
    assert find_key(data, b"inactive_file") == 7
    assert find_key(data, b"file") == 6
    assert find_key(data, b"total_inactive_file") == 9
    assert find_key(data, b"inactive") is None
    assert find_key(b"", b"file") is None


def test_a_key_without_a_number_is_malformed() -> None:
    with pytest.raises(ParseError):
        find_key(b"usage_usec many\n", b"usage_usec")
    with pytest.raises(ParseError):
        find_key(b"usage_usec ", b"usage_usec")


@given(st.dictionaries(keys, numbers, min_size=1, max_size=40))
def test_a_whole_flat_keyed_file_is_read_back(found: dict[bytes, int]) -> None:
    data = b"".join(b"%b %d\n" % pair for pair in found.items()) + b"no number\nkey 18446744073709551616\n"
    assert parse_flat_keyed(data) == {k.decode(): v for k, v in found.items()}


@pytest.mark.parametrize("data", [b"", b"garbage\n", b"key value\n", b"key 18446744073709551616\n", b"\xff 1\n"])
def test_a_flat_keyed_file_without_a_number_is_malformed(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_flat_keyed(data)


# -- nested keyed


@given(st.dictionaries(devices, st.dictionaries(keys, numbers, min_size=1, max_size=6), max_size=6))
def test_a_nested_keyed_file_is_read_back(found: dict[bytes, dict[bytes, int]]) -> None:
    data = b"".join(
        b"%s %s\n" % (name, b" ".join(b"%s=%d" % item for item in values.items())) for name, values in found.items()
    )
    assert parse_nested_keyed(data) == [NestedLine(*item) for item in found.items()]


def test_a_device_without_counters_is_no_line_and_no_error() -> None:
    assert parse_nested_keyed(b"8:0\n") == []
    assert parse_nested_keyed(b"") == []


def test_counters_behind_several_devices_on_one_line_belong_to_the_last() -> None:
    lines = parse_nested_keyed(b"8:0 8:16 rbytes=1 wbytes=2\n")
    assert lines == [NestedLine(b"8:16", {b"rbytes": 1, b"wbytes": 2})]


def test_values_that_are_no_numbers_are_left_out_of_a_nested_line() -> None:
    lines = parse_nested_keyed(b"8:0 rbytes=1 cost.vrate=100.00 cost.usage=-1\nnonsense\n")
    assert lines == [NestedLine(b"8:0", {b"rbytes": 1})]


@pytest.mark.parametrize("data", [b"nonsense\n", b"8:0 rbytes=x\nfoo bar\n", b"rbytes=1\n", b"\x00\xff"])
def test_a_nested_keyed_file_without_one_good_line_is_malformed_not_zero(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_nested_keyed(data)


# -- v1 blkio


def test_totals_and_unknown_devices_count_nothing() -> None:
    data = b"8:0 Read 4096\n8:0 Write 1\n8:0 Total 4097\nRead 5\n(unknown) Read 6\nTotal 4097\n"
    assert parse_device_operations(data) == [DeviceLine(b"8:0", b"Read", 4096), DeviceLine(b"8:0", b"Write", 1)]


@given(st.lists(st.tuples(devices, st.sampled_from([b"Read", b"Write", b"Sync", b"Discard"]), numbers)))
def test_a_blkio_file_is_read_back(lines: list[tuple[bytes, bytes, int]]) -> None:
    data = b"".join(b"%s %s %d\n" % line for line in lines) + b"Total 0\n"
    assert parse_device_operations(data) == [DeviceLine(*line) for line in lines]


@pytest.mark.parametrize("data", [b"", b"\n", b"Total 0\n"])
def test_a_blkio_file_of_an_idle_cgroup_has_no_lines(data: bytes) -> None:
    assert parse_device_operations(data) == []


@pytest.mark.parametrize("data", [b"garbage\n", b"8:0 Read many\n", b"\xff\x00"])
def test_a_blkio_file_without_one_number_is_malformed_not_zero(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_device_operations(data)


# -- pressure, quota, CPUs, pids, freezer


def test_both_lines_of_a_pressure_file_are_read() -> None:
    data = b"some avg10=1.50 avg60=0.25 avg300=100.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    assert parse_pressure(data) == {b"some": Stall(1.5, 0.25, 100.0, 123), b"full": Stall(0.0, 0.0, 0.0, 7)}


def test_cpu_pressure_before_5_13_has_no_full_line() -> None:
    assert set(parse_pressure(b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")) == {b"some"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"some\n",
        b"some avg10=x avg60=0.00 avg300=0.00 total=0\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=-1\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0 more\n",
        b"most avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    ],
)
def test_a_pressure_file_without_a_documented_line_is_malformed(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_pressure(data)


@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 10000), numbers)
def test_a_pressure_line_is_read_back(avg10: int, avg60: int, avg300: int, total: int) -> None:
    data = b"full avg10=%.2f avg60=%.2f avg300=%.2f total=%d\n" % (avg10 / 100, avg60 / 100, avg300 / 100, total)
    assert parse_pressure(data)[b"full"] == Stall(avg10 / 100, avg60 / 100, avg300 / 100, total)


def test_a_quota_is_a_number_or_max_and_has_a_period() -> None:
    assert parse_cpu_max(b"50000 100000\n") == Quota(50000, 100000)
    assert parse_cpu_max(b"max 100000\n") == Quota(MAX, 100000)


@pytest.mark.parametrize("data", [b"", b"max", b"100000", b"max max", b"1 2 3", b"-1 100000"])
def test_a_quota_without_its_period_is_malformed(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_cpu_max(data)


@given(st.frozensets(st.integers(0, 300)))
def test_a_cpu_list_is_read_back(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(",".join(map(str, sorted(cpus))).encode() + b"\n") == cpus


@pytest.mark.parametrize(
    ("data", "cpus"),
    [(b"\n", set()), (b"0\n", {0}), (b"0-2,16\n", {0, 1, 2, 16}), (b"3-3", {3}), (b"0-65535", set(range(65536)))],
)
def test_ranges_of_cpus_include_both_ends(data: bytes, cpus: set[int]) -> None:
    assert parse_cpu_list(data) == cpus


@pytest.mark.parametrize(
    "data", [b"3-1", b"a", b"0-", b"-1", b"0-65536", b"0-18446744073709551615", b"1 2", b"0-65535," * 8000]
)
def test_what_is_no_range_of_cpus_is_malformed_and_costs_no_memory(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_cpu_list(data)


def test_pids_of_other_namespaces_and_nonsense_are_left_out() -> None:
    assert parse_pids(b"1\n0\n23\nx\n-4\n99999999999\n") == [1, 23]
    assert parse_pids(b"") == []


@given(st.lists(st.integers(1, 1 << 22)))
def test_pids_are_read_back_in_order(pids: list[int]) -> None:
    assert parse_pids(b"".join(b"%d\n" % pid for pid in pids)) == pids


@pytest.mark.parametrize(
    ("parse", "data", "frozen"),
    [
        (frozen_v1, b"FROZEN\n", True),
        (frozen_v1, b"FREEZING\n", False),
        (frozen_v1, b"THAWED\n", False),
        (frozen_v2, b"populated 1\nfrozen 1\n", True),
        (frozen_v2, b"populated 1\nfrozen 0\n", False),
    ],
)
def test_frozen_is_what_both_versions_say_in_their_own_words(
    parse: Callable[[bytes], bool], data: bytes, frozen: bool
) -> None:
    assert parse(data) is frozen


@pytest.mark.parametrize(
    ("parse", "data"),
    [(frozen_v1, b"frozen"), (frozen_v1, b""), (frozen_v2, b"populated 1\n"), (frozen_v2, b"frozen yes\n")],
)
def test_no_state_is_malformed_and_not_thawed(parse: Callable[[bytes], bool], data: bytes) -> None:
    with pytest.raises(ParseError):
        parse(data)


def test_an_error_shows_file_and_line_once_they_are_known() -> None:
    error = ParseError("not a number: b'x'")
    assert str(error) == "not a number: b'x'"
    error.path, error.line = "/sys/fs/cgroup/a/cpu.stat", 3
    assert str(error) == "/sys/fs/cgroup/a/cpu.stat:3: not a number: b'x'"
