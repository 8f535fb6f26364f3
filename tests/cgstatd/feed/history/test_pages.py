"""Pages of a file are read as SQLite wrote them, and whatever else stands in them raises nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgstatd.feed.history.pages import SIZE, Pages

_EDGES = (SIZE - 35, (SIZE - 12) * 32 // 255 - 23, SIZE - 4, 2 * (SIZE - 4))
"""Where a row begins to need other pages, or one more."""


@contextmanager
def opened(path: Path) -> Iterator[Pages]:
    with open(path, "rb") as file:
        yield Pages(file.fileno())


def rows(path: Path) -> list[tuple[int, bytes]]:
    with opened(path) as pages:
        return [row for place in pages.cells() if (row := pages.row(place)) is not None]


def test_every_row_is_found_whatever_its_size(tmp_path: Path) -> None:
    sizes = sorted({0, 1, 100, *(edge + more for edge in _EDGES for more in range(-12, 12)), 100_000})
    keys = [1 << (place % 62) | place << 1 | 1 for place in range(len(sizes))]
    assert len(set(keys)) > 80
    wanted = {key: os.urandom(size) for key, size in zip(keys, sizes, strict=True)}  # keys of one to nine bytes
    path = tmp_path / "file"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={SIZE}")
        connection.execute("CREATE TABLE some(key INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        connection.execute("BEGIN")
        connection.executemany("REPLACE INTO some VALUES(?, ?)", wanted.items())
        connection.execute("COMMIT")
    assert dict(rows(path)) == wanted


@pytest.mark.parametrize("size", [0, 1, 99, 100, 107, 108, SIZE - 1, SIZE, SIZE + 1])
def test_a_file_that_is_too_short_has_nothing(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x0d" * size)
    for _, data in rows(path):
        assert len(data) <= size


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_page_ends_and_raises_nothing(
    tmp_path: Path, head: bytes, cells: bytes, number: int
) -> None:
    path = tmp_path / "file"
    page = (b"\x0d" + head).ljust(SIZE - len(cells), b"\x10") + cells
    path.write_bytes(bytes(SIZE) * number + page + cells * 50)
    for _, data in rows(path):
        assert len(data) <= path.stat().st_size
