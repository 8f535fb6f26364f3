"""/proc/meminfo."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from cgroupfs import ParseError, Root
from cgstatd.host.procfs.meminfo import mem_total_bytes, parse_mem_total
from helpers import HOSTS, expected, recorded, write_files


@pytest.mark.parametrize("host", HOSTS)
def test_mem_total_is_the_engines(host: str) -> None:
    assert mem_total_bytes(recorded(host)[0]) == expected(host)["source"]["memTotal"]


@pytest.mark.parametrize(
    "data",
    [b"MemTotal:  5 kB\n", b"MemFree: 1 kB\nMemTotal:\t5 kB\nMemTotal: 6 kB\n", b"MemTotal: 5", b"MemTotal: 5 MB\n"],
)
def test_the_unit_is_always_kib_and_the_first_line_counts(data: bytes) -> None:
    assert parse_mem_total(data) == 5 * 1024


@pytest.mark.parametrize(
    "data", [b"", b"MemTotal:\n", b"MemTotal: -5 kB\n", b"MemTotal: x kB\n", b"MemTotal 5 kB\n", b"XMemTotal: 5 kB\n"]
)
def test_without_a_number_it_is_an_error(data: bytes) -> None:
    with pytest.raises(ParseError, match="MemTotal"):
        parse_mem_total(data)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    write_files(str(tmp_path), {"proc/meminfo": "nonsense\n"})
    with pytest.raises(ParseError) as raised:
        mem_total_bytes(Root(str(tmp_path)))
    assert str(raised.value) == f"{tmp_path}/proc/meminfo: no line 'MemTotal: <number> kB'"


def test_an_absent_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mem_total_bytes(Root(str(tmp_path)))


@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="needs /proc")
def test_the_hosts_own_is_what_psutil_says() -> None:
    assert mem_total_bytes(Root("/")) == psutil.virtual_memory().total
