"""The documented JSON: names and types, rounding, and the only place where an unknown value becomes 0."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from cgroupfs import Absent
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import State
from cgstatd.outputs import stats_json
from cgstatd.sampling.model import ContainerStats

NOTHING = ContainerStats(
    Identity("1" * 64, "web", "docker", 0, None), State.RUNNING, None, None, None, None, None, None, Absent.NO_PROCESS,
    None, None, 1234, 0,
)  # fmt: skip


def one(**figures: Any) -> Any:
    return json.loads(stats_json.encode_one(NOTHING._replace(**figures)))


def test_unknown_values_are_0() -> None:
    found = one()
    assert found.pop("timestamp") == 1234
    assert len(found) == 10 and set(found.values()) == {0}


def test_integers_are_written_as_integers_and_percentages_as_numbers() -> None:
    big = 2**63 - 1
    figures = NOTHING._replace(
        cpu_percent=100.0, memory_usage_bytes=1, inactive_file_bytes=0, memory_limit_bytes=big, network_rx_bytes=big,
        network_tx_bytes=1, block_read_bytes=0, block_write_bytes=big,
    )  # fmt: skip
    data = stats_json.encode_one(figures)
    assert data == (
        b'{"cpuPercent":100.0,"memoryUsage":1,"memoryRaw":1,"memoryCache":0,"memoryLimit":9223372036854775807,'
        b'"memoryPercent":0.0,"networkRx":9223372036854775807,"networkTx":1,"blockRead":0,'
        b'"blockWrite":9223372036854775807,"timestamp":1234}'
    )


def test_one_of_all_has_id_and_name_and_no_timestamp() -> None:
    found = json.loads(stats_json.encode_streamed(NOTHING))
    assert (found["id"], found["name"]) == ("1" * 64, "web")
    assert "timestamp" not in found and len(found) == 12
    assert set(found) - {"id", "name"} == set(one()) - {"timestamp"}


@pytest.mark.parametrize(("raw", "cache", "usage"), [(100, 40, 60), (100, 100, 100), (100, None, 100), (None, 5, 0)])
def test_usage_is_raw_without_cache(raw: int | None, cache: int | None, usage: int) -> None:
    assert one(memory_usage_bytes=raw, inactive_file_bytes=cache)["memoryUsage"] == usage


@pytest.mark.parametrize(("limit", "percent"), [(None, 0), (0, 0), (300, 33.33), (200, 50), (50, 200)])
def test_the_memory_percentage_is_of_the_limit_and_0_where_that_is_0(limit: int | None, percent: float) -> None:
    assert one(memory_usage_bytes=100, memory_limit_bytes=limit)["memoryPercent"] == percent


def test_percentages_are_rounded_half_up_to_two_decimals() -> None:
    assert [one(cpu_percent=value)["cpuPercent"] for value in (0.125, 12.344999, 400.0)] == [0.13, 12.34, 400.0]


def test_a_percentage_is_always_a_json_number() -> None:
    assert math.isfinite(one(cpu_percent=1e9, memory_usage_bytes=2**62, memory_limit_bytes=1)["memoryPercent"])


@pytest.mark.parametrize("name", ['quote " backslash \\', "名前", "\ufffd", "</script>", "\x7f"])
def test_any_name_is_one_json_string(name: str) -> None:
    data = stats_json.encode_streamed(NOTHING._replace(identity=NOTHING.identity._replace(name=name)))
    assert json.loads(data)["name"] == name
    assert b"\n" not in data and b"\r" not in data


def test_a_failure_has_a_message_only_where_there_is_one() -> None:
    assert stats_json.encode_failure("Container not found") == b'{"error":"Container not found"}'
    assert stats_json.encode_failure("Unauthorized", "why") == b'{"error":"Unauthorized","message":"why"}'


def test_a_failure_may_hold_whatever_a_path_holds() -> None:
    path = b"/sys/fs/cgroup/\xff\n".decode("utf-8", "surrogateescape")
    found = json.loads(stats_json.encode_failure(f"cannot read {path}"))
    assert found["error"].startswith("cannot read /sys/fs/cgroup/")
