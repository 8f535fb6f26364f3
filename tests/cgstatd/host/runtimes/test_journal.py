"""A database in the midst of a transaction, put back: SQLite itself writes both files here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import Root
from cgstatd.host.runtimes.journal import MAGIC, nonce_of, rolled_back
from cgstatd.host.runtimes.podman import PodmanSource
from helpers import believed

A = "a" * 64


def rows(content: bytes) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        return connection.execute("SELECT ID, Name FROM ContainerConfig ORDER BY ID").fetchall()


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    """Podman's database with 200 containers, and a connection that has room for few pages: it spills the others."""
    path = tmp_path / "db.sql"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("""
        CREATE TABLE ContainerConfig (ID TEXT PRIMARY KEY, Name TEXT, PodID TEXT, JSON TEXT);
        CREATE TABLE ContainerState (ID TEXT PRIMARY KEY, State INTEGER, ExitCode INTEGER, JSON TEXT);
        CREATE TABLE PodConfig (ID TEXT PRIMARY KEY, Name TEXT, JSON TEXT);
    """)
    connection.executemany(
        "INSERT INTO ContainerConfig VALUES (?, ?, NULL, ?)",
        [(f"{number:064}", f"old-{number}", f'{{"labels": {{"x": "{"y" * 900}"}}}}') for number in range(200)],
    )
    path.chmod(0o600)
    connection.execute("PRAGMA cache_size = 5")
    yield path, connection
    connection.close()


def begin(connection: sqlite3.Connection) -> None:
    """A transaction that changes, adds and removes, much of which is in the file already."""
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("UPDATE ContainerConfig SET Name = 'new', JSON = '{}'")
    connection.executemany(
        "INSERT INTO ContainerConfig VALUES (?, 'more', NULL, ?)", [(f"f{n:063}", "z" * 2000) for n in range(100)]
    )


def test_what_is_read_in_the_midst_of_a_transaction_is_what_was_before(
    written: tuple[Path, sqlite3.Connection],
) -> None:
    path, connection = written
    before = rows(path.read_bytes())
    begin(connection)
    database, journal = path.read_bytes(), (path.parent / "db.sql-journal").read_bytes()
    assert nonce_of(journal) is not None
    assert b"more" in database  # it is written into already
    assert rows(rolled_back(database, journal)) == before
    connection.execute("COMMIT")
    assert {name for _, name in rows(path.read_bytes())} == {"new", "more"}


@believed
def test_podmans_containers_are_those_before_until_the_transaction_is_over(
    written: tuple[Path, sqlite3.Connection],
) -> None:
    path, connection = written
    begin(connection)
    source = PodmanSource(Root(""), str(path.parent))  # one that has never seen it otherwise
    for _ in range(2):
        assert {each.name for each in source.all()} == {f"old-{number}" for number in range(200)}
    connection.execute("COMMIT")
    assert {each.name for each in source.all()} == {"new", "more"} - {"more"}


@believed
def test_the_state_before_is_that_of_the_latest_transaction(written: tuple[Path, sqlite3.Connection]) -> None:
    path, connection = written
    source = PodmanSource(Root(""), str(path.parent))
    assert source.get(f"{0:064}") is not None
    connection.execute("UPDATE ContainerConfig SET Name = 'between'")
    begin(connection)
    assert {each.name for each in source.all()} == {"between"}


def test_a_journal_of_zeros_or_none_is_none(written: tuple[Path, sqlite3.Connection]) -> None:
    for journal in (b"", bytes(512), MAGIC, b"x" * 600):
        assert nonce_of(journal) is None


@given(st.binary(max_size=2000), st.binary(max_size=200))
def test_no_journal_is_too_odd(tail: bytes, head: bytes) -> None:
    database = b"SQLite format 3\0" + b"\x10\x00" + bytes(8000)
    for journal in (tail, MAGIC + head + tail):
        try:
            found = rolled_back(database, journal)
        except ValueError:
            continue
        assert len(found) <= len(database)
