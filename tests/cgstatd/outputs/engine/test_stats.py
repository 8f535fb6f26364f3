"""The Engine API's stats: each counter under its own key, and no key where the kernel does not say."""

from __future__ import annotations

import json
from typing import Any

from cgroupfs import DeviceIo
from cgstatd.host.identity import Identity
from cgstatd.host.procfs.net_dev import Interface
from cgstatd.host.runtimes.base import State
from cgstatd.outputs.engine import stats
from cgstatd.sampling.engine_figures import EngineCpu, EngineFigures

ID = "1" * 64
ZERO_TIME = "0001-01-01T00:00:00Z"
SECOND = 1_000_000_000
CPU = EngineCpu(2 * SECOND, 101, 102, 103, 104, 105, 106, 107)
BEFORE = EngineCpu(SECOND, 91, None, None, None, None, None, None)
FIGURES = EngineFigures(
    Identity(ID, "web", "docker", 0, None), State.RUNNING, 2 * SECOND, CPU, BEFORE, cores=3, memory_usage_bytes=11,
    memory_limit_bytes=12, memory_peak_bytes=13, memory_failcnt=14, memory_stat={"anon": 15}, legacy_memory=True,
    block=(DeviceIo("8:16", 21, 22), DeviceIo("0:1", None, 23), DeviceIo("x:1", 24, 25), DeviceIo("8", 26, 27)),
    legacy_block=True, interfaces=(Interface("eth0", 31, 32, 33, 34, 35, 36, 37, 38),), pids=41, pids_limit=42,
    encoded={},
)  # fmt: skip
ZERO_CPU = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


def encoded(before: EngineCpu | None = None, **figures: Any) -> dict[str, Any]:
    data = stats.encode(FIGURES._replace(encoded={}, **figures), before)
    assert data.endswith(b"}\n") and data.count(b"\n") == 1
    return dict(json.loads(data))


def test_everything_that_is_known_is_shown_under_its_own_key() -> None:
    found = encoded(BEFORE)
    blocks = found["blkio_stats"].pop("io_service_bytes_recursive")
    assert set(found.pop("blkio_stats").values()) == {None}
    assert [tuple(each.values()) for each in blocks] == [(8, 16, "Read", 21), (8, 16, "Write", 22), (0, 1, "Write", 23)]
    assert found == {
        "read": "1970-01-01T00:00:02.000000000Z",
        "preread": "1970-01-01T00:00:01.000000000Z",
        "pids_stats": {"current": 41, "limit": 42},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {
            "cpu_usage": {"total_usage": 101, "usage_in_kernelmode": 103, "usage_in_usermode": 102},
            "throttling_data": {"periods": 105, "throttled_periods": 106, "throttled_time": 107},
            "system_cpu_usage": 104,
            "online_cpus": 3,
        },
        "precpu_stats": {
            "cpu_usage": {"total_usage": 91},
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
            "online_cpus": 3,
        },
        "memory_stats": {"usage": 11, "max_usage": 13, "stats": {"anon": 15}, "failcnt": 14, "limit": 12},
        "name": "/web",
        "id": ID,
        "networks": {"eth0": {
            "rx_bytes": 31, "rx_packets": 32, "rx_errors": 33, "rx_dropped": 34,
            "tx_bytes": 35, "tx_packets": 36, "tx_errors": 37, "tx_dropped": 38,
        }},
    }  # fmt: skip


def test_v2_has_no_peak_no_failures_and_small_words() -> None:
    found = encoded(legacy_memory=False, legacy_block=False)
    assert found["memory_stats"] == {"usage": 11, "stats": {"anon": 15}, "limit": 12}
    assert [each["op"] for each in found["blkio_stats"]["io_service_bytes_recursive"]] == ["read", "write", "write"]
    assert "failcnt" not in encoded(memory_failcnt=0)["memory_stats"]


def test_what_is_not_known_has_no_key() -> None:
    nothing = dict.fromkeys("cpu cores memory_usage_bytes interfaces pids pids_limit".split())
    found = encoded(**nothing)
    assert (found["preread"], found["pids_stats"], found["memory_stats"]) == (ZERO_TIME, {}, {})
    assert found["cpu_stats"] == found["precpu_stats"] == ZERO_CPU
    assert "networks" not in found


def test_what_does_not_run_has_zeros() -> None:
    data = stats.stopped("web", ID)
    assert data.endswith(b"}\n")
    found = json.loads(data)
    assert (found["name"], found["id"], found["read"], found["preread"]) == ("/web", ID, ZERO_TIME, ZERO_TIME)
    assert found["cpu_stats"] == ZERO_CPU and found["memory_stats"] == {}


def test_a_reading_is_encoded_once_for_each_reading_that_it_is_compared_with() -> None:
    figures = FIGURES._replace(encoded={})
    assert stats.encode(figures, BEFORE) is stats.encode(figures, BEFORE)
    assert stats.encode(figures, None) != stats.encode(figures, BEFORE)
