"""Figures out of counters."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cgroupfs import MAX, Absent, Clock, Counters, Limit
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.sampling import rates
from cgstatd.sampling.model import ContainerStats, CpuReading
from cgstatd.sampling.network import Traffic
from cgstatd.sampling.rates import (
    MOST_BYTES_PER_SECOND,
    MOST_CORES,
    CpuWindow,
    bytes_per_second,
    cpu_percent,
    memory_limit,
    memory_usage,
    percent,
    round_half_up,
)

MS = 1_000_000
SECOND = 1_000_000_000
NOBODY = Identity("a" * 64, "web", "docker", 0, None)
counters = st.integers(0, 2**63)


def javascript(value: float) -> float:
    """Math.round(value * 100) / 100 by ECMA-262: the nearest integer to the double product, the upper one of two."""
    return float(math.floor(Fraction(value * 100) + Fraction(1, 2))) / 100


def window_of(*readings: CpuReading) -> CpuWindow:
    window = CpuWindow()
    for each in readings:
        window.add(each)
    return window


# -- rounding


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (0.0, 0.0), (0.004, 0.0), (99.994, 99.99), (100.0, 100.0), (12800.0, 12800.0),
        (0.005, 0.01), (0.015, 0.02), (0.025, 0.03), (0.125, 0.13), (0.375, 0.38), (99.995, 100.0),  # not half-even
        (1.255, 1.25), (8.345, 8.35), (1234.565, 1234.57),
        (1.005, 1.0),  # the double 1.005 * 100 is 100.49999999999999: JavaScript says 1 too
        (2.675, 2.68),  # 2.675 * 100 is 267.5 exactly, though 2.675 is below
        (0.004999999999999999, 0.0),  # the largest double below a half
    ],
)  # fmt: skip
def test_rounding_is_half_up_as_in_javascript(value: float, rounded: float) -> None:
    assert round_half_up(value) == rounded == javascript(value)


@given(st.floats(0, 1e15))
@example(0.285)
@example(45035996273704.97)
def test_rounding_equals_javascripts(value: float) -> None:
    assert round_half_up(value) == javascript(value)


@given(st.integers(0, 10**9))
def test_two_decimals_stay_what_they_are(hundredths: int) -> None:
    assert round_half_up(hundredths / 100) == hundredths / 100


# -- memory


@pytest.mark.parametrize(
    ("raw", "cache", "usage"),
    [
        (100, 30, 70), (100, 0, 100), (100, 1, 99), (100, 99, 1), (0, 0, 0), (0, 5, 0),
        (100, 100, 100), (100, 101, 100),  # cache is not below raw: docker/cli shows raw
        (100, None, 100), (None, 30, None), (None, None, None),
    ],
)  # fmt: skip
def test_cache_above_zero_and_below_raw_is_subtracted(raw: int | None, cache: int | None, usage: int | None) -> None:
    assert memory_usage(raw, cache) == usage


@given(counters, counters)
def test_usage_is_never_negative_nor_above_raw(raw: int, cache: int) -> None:
    usage = memory_usage(raw, cache)
    assert usage is not None and 0 <= usage <= raw
    assert usage == (raw - cache if 0 < cache < raw else raw)


@pytest.mark.parametrize(
    ("limit", "total", "shown"),
    [
        (50, 100, 50), (100, 100, 100), (101, 100, 100), (0, 100, 0), (MAX, 100, 100),
        (MAX, None, None), (50, None, 50), (None, 100, None),
    ],
)  # fmt: skip
def test_without_a_lower_limit_it_is_the_hosts_memory(limit: Limit, total: int | None, shown: int | None) -> None:
    assert memory_limit(limit, total) == shown


def test_a_percentage_of_nothing_is_zero_and_of_the_unknown_unknown() -> None:
    assert percent(5, 0) == 0.0
    assert percent(0, 0) == 0.0
    assert percent(None, 5) is None
    assert percent(5, None) is None
    assert percent(1, 4) == 25.0


# -- CPU


@pytest.mark.parametrize(
    ("used", "elapsed", "shown"),
    [
        (SECOND, SECOND, 100.0),
        (SECOND // 2, SECOND, 50.0),
        (4 * SECOND, SECOND, 400.0),  # four cores
        (0, SECOND, 0.0),
        (-1, SECOND, None),  # the counter fell: another cgroup's
        (SECOND, 0, None),
        (SECOND, -SECOND, None),
    ],
)
def test_cpu_is_time_used_over_time_passed(used: int, elapsed: int, shown: float | None) -> None:
    before = CpuReading(10 * SECOND, 20 * SECOND)
    assert cpu_percent(before, CpuReading(before.usage_nsec + used, before.monotonic_ns + elapsed)) == shown


times = st.integers(0, 10**10)


@given(times, times, times, times, st.integers(1, 64), st.integers(1, 64), st.data())
def test_a_file_that_is_slow_to_answer_never_makes_the_figure_too_large(
    first: int, apart: int, slow_first: int, slow_second: int, used: int, cores: int, data: st.DataObject
) -> None:
    """A container that uses ``used`` cores all the time; each file is read at some instant of the time it takes."""
    used = min(used, cores)
    second = first + slow_first + apart + 1
    seen_first = data.draw(st.integers(first, first + slow_first))
    seen_second = data.draw(st.integers(second, second + slow_second))
    found = cpu_percent(
        CpuReading(seen_first * used, first, first + slow_first),
        CpuReading(seen_second * used, second, second + slow_second),
        cores,
    )
    assert found is not None and found <= used * 100 * (1 + 1e-12)


@given(counters, st.integers(1, 2**40), st.integers(0, 2**64), st.integers(1, 1024))
def test_cpu_is_never_negative_nor_above_what_all_cores_give(usage: int, elapsed: int, used: int, cores: int) -> None:
    found = cpu_percent(CpuReading(usage, 0, 0), CpuReading(usage + used, elapsed, elapsed), cores)
    assert found is None or 0 <= found <= cores * 100


def test_a_counter_that_jumps_is_another_counter() -> None:
    assert cpu_percent(None, CpuReading(5, 5)) is None
    late = 4 * SECOND  # of two cores, a second of each put on late
    for used, shown in ((late + 1, None), (late, 200.0), (2 * SECOND, 200.0), (SECOND // 2, 50.0)):
        assert cpu_percent(CpuReading(0, 0), CpuReading(used, SECOND), 2) == shown
    beyond = CpuReading(2 * MOST_CORES * 10 * SECOND, 10 * SECOND)
    assert cpu_percent(CpuReading(0, 0), beyond) is None, "more than any host's cores can give"


def test_a_slow_reading_is_no_base_where_there_is_a_better_one() -> None:
    good, slow = CpuReading(0, 0, 10), CpuReading(6 * SECOND, SECOND, 7 * SECOND)
    assert window_of(good, slow).base(8 * SECOND) == good
    assert window_of(slow).base(8 * SECOND) == slow


@given(counters, counters, st.integers(-(2**40), 2**62))
def test_a_rate_is_known_and_possible_or_not_said(before: int, now: int, elapsed: int) -> None:
    found = bytes_per_second(before, now, elapsed)
    assert found is None or 0 <= found <= MOST_BYTES_PER_SECOND
    assert (found is None) == (
        elapsed <= 0 or now < before or (now - before) * 10**9 // elapsed > MOST_BYTES_PER_SECOND
    )


def test_a_rate_needs_both_readings() -> None:
    assert bytes_per_second(None, 5, 1) is bytes_per_second(5, None, 1) is None
    assert bytes_per_second(0, 12_500_000_000, 1_000_000_000) == 12_500_000_000  # 100 Gbit/s
    assert bytes_per_second(0, 3, 1) == 3_000_000_000  # the shortest time there is
    assert bytes_per_second(0, MOST_BYTES_PER_SECOND, SECOND) == MOST_BYTES_PER_SECOND == 1 << 40
    assert bytes_per_second(0, MOST_BYTES_PER_SECOND + 1, SECOND) is None


# -- the window


def test_a_reading_is_a_base_once_it_is_100_ms_old_and_none_after_a_minute() -> None:
    assert CpuWindow().base(10 * SECOND) is None
    first = CpuReading(1, SECOND)
    window = window_of(first)
    assert window.base(SECOND + 100 * MS - 1) is None
    assert window.base(SECOND + 100 * MS) == first == window.base(SECOND + CpuWindow.MAXIMUM_NS)
    assert window.base(SECOND + CpuWindow.MAXIMUM_NS + 1) is None, "rather than a long average"


def test_readings_closer_than_100_ms_are_compared_with_the_one_before() -> None:
    first, second = CpuReading(1, SECOND), CpuReading(2, 2 * SECOND)
    window = window_of(first, second)
    assert window.base(2 * SECOND + 50 * MS) == first
    assert window.base(2 * SECOND + 100 * MS) == first, "a window of a second beats one of 100 ms"
    assert window.base(2 * SECOND + 900 * MS) == second
    for n in range(1, 50):  # a burst does not push the base away
        window.add(CpuReading(2 + n, 2 * SECOND + n * 2 * MS))
    assert window.base(2 * SECOND + 99 * MS) == first


def test_a_baseline_that_ticked_just_before_is_not_the_base_where_an_older_one_is_there() -> None:
    ticks = [CpuReading(n, n * 10 * SECOND) for n in range(4)]
    assert window_of(*ticks).base(30 * SECOND + 150 * MS) == ticks[2]


def test_only_the_readings_of_the_last_second_and_one_older_are_kept() -> None:
    assert len(window_of(*(CpuReading(n, n * 100 * MS) for n in range(1000)))._readings) <= 11


def test_a_steady_fast_reader_always_has_a_base_of_about_a_second() -> None:
    window = CpuWindow()
    for n in range(200):
        now = n * 10 * MS
        base = window.base(now)
        if n >= 10:
            assert base is not None
        if n >= 100:
            assert base is not None and 900 * MS <= now - base.monotonic_ns <= 1000 * MS
        window.add(CpuReading(n, now))


@pytest.mark.parametrize("after_ns", [SECOND, MS])
def test_a_counter_that_fell_starts_anew(after_ns: int) -> None:
    fallen = CpuReading(5, 2 * SECOND + after_ns)
    window = window_of(CpuReading(100, SECOND), CpuReading(200, 2 * SECOND), fallen)
    assert window.base(fallen.monotonic_ns + 50 * MS) is None
    assert window.base(fallen.monotonic_ns + SECOND) == fallen


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(-50, 400)), min_size=1, max_size=60))
def test_whatever_comes_the_base_is_old_enough_and_the_percent_sane(steps: list[tuple[int, int]]) -> None:
    """One CPU: time used in each step is at most the time passed, except where the counter falls."""
    window, now, usage, fell_at = CpuWindow(), 0, 0, 0
    for passed, used in steps:
        now += passed * MS
        fell = used < 0
        usage = max(0, usage - 10**9) if fell else usage + min(used, passed) * MS
        if fell:
            fell_at = now
        base = window.base(now)
        found = cpu_percent(base, CpuReading(usage, now))
        if base is not None:
            assert now - base.monotonic_ns >= CpuWindow.MINIMUM_NS
            assert base.monotonic_ns >= 0
        if found is not None and not fell and fell_at == 0:
            assert 0 <= found <= 100.0001
        window.add(CpuReading(usage, now))


# -- figures


TRAFFIC = Traffic(7, 8, None, 9)


def figures(cpu: float | None, mem_total: int, traffic: Traffic = TRAFFIC, **changes: Any) -> ContainerStats:
    counters = Counters(SECOND, 100, 30, MAX, 1, 2, False)._replace(**changes)
    return rates.stats(NOBODY, Clock(5, 6), counters, traffic, cpu, mem_total)


def test_figures_carry_the_counters_and_their_instant_and_what_the_kernel_does_not_say_stays_unknown() -> None:
    found = figures(12.5, 1000)
    assert (found.cpu_percent, found.memory_usage_bytes, found.inactive_file_bytes) == (12.5, 100, 30)
    assert (found.memory_limit_bytes, found.network_rx_bytes, found.network_tx_bytes) == (1000, 7, 8)
    assert (found.block_read_bytes, found.block_write_bytes) == (1, 2)
    assert (found.monotonic_ns, found.time_ms, found.state) == (5, 6, State.RUNNING)
    assert figures(0.0, 1, frozen=True).state is State.PAUSED
    unknown = figures(None, 1000, Traffic(None, None, Absent.NO_PROCESS, None), **dict.fromkeys(Counters._fields))
    assert unknown[2:8] == (None,) * 6
    assert (unknown.network_reason, unknown.state) == (Absent.NO_PROCESS, State.RUNNING)


def test_a_stopped_container_uses_nothing_and_shows_its_configured_limit() -> None:
    for limit, shown in ((64 << 20, 64 << 20), (None, 0)):
        metadata = Metadata("docker", "a" * 64, "web", memory_limit_bytes=limit)
        found = rates.stopped(NOBODY._replace(metadata=metadata), State.EXITED, 6, 5)
        assert found[2:8] == (0.0, 0, 0, shown, 0, 0) and (found.block_read_bytes, found.block_write_bytes) == (0, 0)
        assert (found.state, found.time_ms, found.monotonic_ns) == (State.EXITED, 6, 5)
    assert rates.stopped(NOBODY, State.UNKNOWN, 6, 5).memory_limit_bytes == 0
