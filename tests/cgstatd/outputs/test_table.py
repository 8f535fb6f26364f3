"""The table is docker's to the byte: units, spacing, the widths of text/tabwriter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cgroupfs import Absent
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import State
from cgstatd.outputs import column_widths
from cgstatd.outputs.table import HEADER, Line, binary_size, cells, decimal_size, json_line, ordered, render
from cgstatd.sampling.model import ContainerStats

ID = "0123456789abcdef" * 4


def line(pids: int | None = 3, **figures: Any) -> Line:
    name, runtime, uid = (figures.pop(key, default) for key, default in
                          (("name", "web"), ("runtime", "docker"), ("uid", 0)))  # fmt: skip
    stats = ContainerStats(
        Identity(figures.pop("id", ID), name, runtime, uid, None), State.RUNNING, 12.345, 3 << 20, 1 << 20, 64 << 20,
        1_500_000, 2_000, None, 0, 1, 1234, 0,
    )  # fmt: skip
    return Line(stats._replace(**figures), pids)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0B"), (1, "1B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1.5KiB"), (10_240, "10KiB"),
        (123_456, "120.6KiB"), (1_047_552, "1023KiB"), (1_048_575, "1024KiB"), (1_048_576, "1MiB"), (2 << 20, "2MiB"),
        (1_048_535, "1024KiB"),  # %.4g of 1023.96, as docker shows it
        (3_123_896_320, "2.909GiB"), (1 << 40, "1TiB"), (1 << 50, "1PiB"), (1 << 60, "1EiB"), (1 << 70, "1024EiB"),
        (None, "--"),
    ],
)  # fmt: skip
def test_memory_has_binary_units_and_four_digits(size: int | None, shown: str) -> None:
    assert binary_size(size) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0B"), (999, "999B"), (1000, "1kB"), (1570, "1.57kB"), (12_345, "12.3kB"), (123_456, "123kB"),
        (999_499, "999kB"), (999_999, "1e+03kB"), (1_000_000, "1MB"), (18_200_000, "18.2MB"), (104_861_696, "105MB"),
        (999_500, "1e+03kB"),  # %.3g of 999.5: docker shows exactly this
        (2_516_582_400, "2.52GB"), (10**12, "1TB"), (10**15, "1PB"), (10**18, "1EB"), (None, "--"),
    ],
)  # fmt: skip
def test_network_and_block_have_decimal_units_and_three_digits(size: int | None, shown: str) -> None:
    assert decimal_size(size) == shown


def test_a_row_is_what_docker_shows_and_the_runtime() -> None:
    assert dict(zip(HEADER, cells(line()), strict=True)) == {
        "CONTAINER ID": "0123456789ab", "NAME": "web", "CPU %": "12.35%", "MEM USAGE / LIMIT": "2MiB / 64MiB",
        "MEM %": "3.12%", "NET I/O": "1.5MB / 2kB", "BLOCK I/O": "0B / 1B", "PIDS": "3", "RUNTIME": "docker",
    }  # fmt: skip


def test_without_containers_the_header_has_dockers_spacing() -> None:
    """Of docker stats --no-stream on a host without containers, its PIDS column followed by ours."""
    docker = "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O   BLOCK I/O   PIDS"
    assert render([]) == f"{docker}      RUNTIME"


def test_columns_are_as_wide_as_their_widest_cell_and_three() -> None:
    """The three lines are docker's own output."""
    shown = render(
        [
            line(name="a-very-long-container-name", cpu_percent=0.0, pids=1),
            line(id="f" * 64, cpu_percent=1234.5, network_rx_bytes=999_500, network_tx_bytes=123_456),
        ]
    ).split("\n")
    assert shown == [
        "CONTAINER ID   NAME                         CPU %      MEM USAGE / LIMIT   MEM %     NET I/O           "
        "BLOCK I/O   PIDS      RUNTIME",
        "0123456789ab   a-very-long-container-name   0.00%      2MiB / 64MiB        3.12%     1.5MB / 2kB       "
        "0B / 1B     1         docker",
        "ffffffffffff   web                          1234.50%   2MiB / 64MiB        3.12%     1e+03kB / 123kB   "
        "0B / 1B     3         docker",
    ]


def test_what_is_not_known_is_two_dashes_and_not_0() -> None:
    unknown: dict[str, Any] = dict.fromkeys(
        "cpu_percent memory_usage_bytes memory_limit_bytes network_rx_bytes network_tx_bytes block_read_bytes "
        "block_write_bytes".split()
    )
    row = cells(line(pids=None, network_reason=Absent.NO_PROCESS, **unknown))
    assert row[2:8] == ("--", "-- / --", "--", "-- / --", "-- / --", "--")


def test_a_container_in_the_hosts_network_has_0_as_docker_shows_it() -> None:
    each = line(network_rx_bytes=None, network_tx_bytes=None, network_reason=Absent.HOST_NETWORK)
    assert cells(each)[5] == "0B / 0B"
    found = json.loads(json_line(each))
    assert (found["networkRx"], found["networkTx"]) == (0, 0)


@pytest.mark.parametrize(
    ("each", "columns", "shown"),
    [
        pytest.param(line(runtime="podman", uid=1000), [8], ["podman (uid 1000)"], id="a user's is marked"),
        pytest.param(line(id="a-name-of-lxc"), [0], ["a-name-of-lxc"], id="an id that is not hexadecimal is whole"),
        pytest.param(
            line(memory_usage_bytes=0, inactive_file_bytes=0, memory_limit_bytes=0), [3, 4], ["0B / 0B", "0.00%"],
            id="the percentage of a limit of 0 is 0",
        ),
    ],
)  # fmt: skip
def test_cells(each: Line, columns: list[int], shown: list[str]) -> None:
    assert [cells(each)[column] for column in columns] == shown


def test_a_json_line_is_one_object_with_null_for_what_is_not_known() -> None:
    shown = json_line(line(name="a\nb", cpu_percent=None, block_read_bytes=None, pids=None))
    assert "\n" not in shown
    assert json.loads(shown) == {
        "id": ID, "name": "a\nb", "runtime": "docker", "state": "running", "ownerUid": 0, "cpuPercent": None,
        "memoryUsage": 2 << 20, "memoryRaw": 3 << 20, "memoryCache": 1 << 20, "memoryLimit": 64 << 20,
        "memoryPercent": 3.13, "networkRx": 1_500_000, "networkTx": 2_000, "blockRead": None, "blockWrite": 1,
        "pids": None, "timestamp": 1234,
    }  # fmt: skip


# -- on a terminal

LONG = [line(name="x" * 250, id="1" * 64), line(name="web", id="2" * 64), line(name="名" * 60, id="3" * 64)]


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 120, 132, 200, 320])
def test_on_a_terminal_no_line_is_wider_than_it_and_every_row_is_one_line(width: int) -> None:
    shown = render(LONG, width).split("\n")
    assert max(map(column_widths.cells, shown)) <= width
    rows = [row for row in shown if not row.startswith(("no room", "…"))]
    assert len(rows) == 1 + len(LONG)


def test_one_long_name_does_not_widen_the_others_rows() -> None:
    shown = render(LONG, 132).split("\n")
    assert all(name in shown[0] for name in HEADER)
    assert "…" in shown[1] and "…" not in shown[2]
    assert {column_widths.cells(row.partition("12.35%")[0]) for row in shown[1:]} == {shown[0].index("CPU %")}


def test_a_long_name_is_cut_in_the_middle_as_names_differ_at_their_ends() -> None:
    assert column_widths.shorten("shop-production-worker-12", 15) == "shop-pr…rker-12"
    assert [column_widths.shorten("web", width) for width in (3, 2, 1)] == ["web", "w…", "…"]
    assert column_widths.cells(column_widths.shorten("名前" * 9, 8)) <= 8


def test_a_column_that_has_no_room_is_named() -> None:
    shown = render(LONG, 80).split("\n")
    missing = [name for name in HEADER if name not in shown[0]]
    assert missing and shown[-1] == f"no room for {', '.join(missing)}: a wider terminal, or | cat"
    assert "no room" not in render(LONG, 132)
    for name in ("NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O"):
        assert name in shown[0]


def test_where_it_fits_it_is_dockers_to_the_byte_and_whole_or_for_a_pipe_nothing_is_shortened() -> None:
    short = [line(name="web"), line(name="db", id="f" * 64)]
    assert render(short, 200) == render(short) == "\n".join(row.rstrip() for row in render(short).split("\n"))
    assert "x" * 250 in render(LONG)
    whole = render(LONG, 80, whole=True)
    assert "1" * 64 in whole and "x" * 250 in whole


def test_rows_beyond_the_height_are_counted_and_the_header_stays() -> None:
    many = [line(name=f"n{n:03}", id=f"{n:064}") for n in range(100)]
    for height in (5, 23, 60):
        shown = render(many, 200, height).split("\n")
        assert len(shown) == height and shown[0].startswith("CONTAINER ID")
        assert shown[-1] == f"… and {100 - (height - 2)} more"
    assert len(render(many, 80, 23).split("\n")) == 23
    assert len(render(many[:10], 200, 23).split("\n")) == 11


@pytest.mark.parametrize(
    ("by", "wanted"),
    [("name", "abc"), ("cpu", "bac"), ("memory", "cab"), ("net", "acb"), ("block", "cba"), ("pids", "bca")],
)
def test_rows_are_sorted_the_largest_first_and_what_is_not_known_last(by: str, wanted: str) -> None:
    lines = [
        line(1, name="a", cpu_percent=5.0, memory_usage_bytes=50 << 20, network_rx_bytes=900, network_tx_bytes=0,
             block_read_bytes=None, block_write_bytes=None),
        line(9, name="b", cpu_percent=50.0, memory_usage_bytes=None, network_rx_bytes=None, network_tx_bytes=None,
             block_read_bytes=5, block_write_bytes=None),
        line(5, name="c", cpu_percent=None, memory_usage_bytes=60 << 20, network_rx_bytes=1, network_tx_bytes=1,
             block_read_bytes=5, block_write_bytes=5),
    ]  # fmt: skip
    assert [each.stats.identity.name for each in ordered(lines, by)] == [*wanted]
