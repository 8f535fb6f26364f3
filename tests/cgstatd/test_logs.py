"""One line a record, whatever it holds."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from cgstatd import logs
from cgstatd.names import Names


class Err:
    """Standard error as it is in a service without a locale."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._bytes = io.BytesIO()
        self._stream = io.TextIOWrapper(self._bytes, encoding="ascii", errors="backslashreplace")

    def configure(self, level: str) -> None:
        """Set up logging onto it."""
        root = logging.getLogger()
        root.handlers[:] = [h for h in root.handlers if type(h) is logging.StreamHandler]  # spare pytest's own
        with self._monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", self._stream)
            logs.configure(level)

    def lines(self) -> list[str]:
        """What was written."""
        self._stream.flush()
        text = self._bytes.getvalue().decode("ascii")
        assert text.endswith("\n") or not text
        return text.split("\n")[:-1]


@pytest.fixture
def err(monkeypatch: pytest.MonkeyPatch) -> Iterator[Err]:
    root = logging.getLogger()
    level = root.level
    yield Err(monkeypatch)
    root.handlers.clear()
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("level", "word"),
    [(logging.DEBUG, "debug"), (logging.INFO, "info"), (logging.WARNING, "warning"), (logging.ERROR, "error"),
     (logging.CRITICAL, "critical")],
)  # fmt: skip
def test_a_record_is_one_line_with_its_level_first_and_no_time_stamp(err: Err, level: int, word: str) -> None:
    err.configure("debug")
    logging.getLogger("cgstatd.x").log(level, "container=%s left out: %s", "abc", "why")
    assert err.lines() == [f"level={word} container=abc left out: why"]


def test_records_below_the_level_are_not_written(err: Err) -> None:
    err.configure("warning")
    logging.getLogger("cgstatd").info("no")
    logging.getLogger("cgstatd").warning("yes")
    assert err.lines() == ["level=warning yes"]


def test_configuring_again_writes_no_record_twice(err: Err) -> None:
    err.configure("info")
    err.configure("info")
    logging.getLogger("cgstatd").info("once")
    assert err.lines() == ["level=info once"]


@pytest.mark.parametrize(
    "between", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\x1b[2K"]
)
def test_no_name_or_path_can_forge_a_second_line_or_move_the_cursor(err: Err, between: str) -> None:
    err.configure("info")
    logging.getLogger("cgstatd").warning("container=%s", f"x{between}level=info forged")
    [line] = err.lines()
    assert line.startswith("level=warning container=x")
    assert line.isprintable() and line.isascii()


def test_an_exception_is_on_the_same_line(err: Err) -> None:
    err.configure("info")
    try:
        raise ValueError("first\nlevel=info forged\x1b[31m")
    except ValueError:
        logging.getLogger("cgstatd").exception("container=%s", "a\nb")
    [line] = err.lines()
    assert line.startswith("level=error container=a b") and line.isprintable()
    assert "ValueError: first" in line and "test_logs.py" in line


def test_an_exception_with_a_cause_is_on_one_line_too(err: Err) -> None:
    err.configure("info")
    try:
        try:
            raise OSError(13, "Permission denied", "/x\ny")
        except OSError as error:
            raise RuntimeError("why") from error
    except RuntimeError:
        logging.getLogger("cgstatd").exception("oops")
    [line] = err.lines()
    assert "Permission denied" in line and "RuntimeError: why" in line


def test_what_is_not_ascii_or_not_unicode_is_written_somehow(err: Err) -> None:
    err.configure("info")
    logging.getLogger("cgstatd").info("container=%s", "名前\udcff")
    assert len(err.lines()) == 1


def test_a_containers_failure_is_said_once(err: Err) -> None:
    err.configure("info")
    names = Names([], lambda uid: [])
    for _ in range(3):
        names.say_once("evil\nlevel=info forged", "left out: cannot read /sys/\x1b]0;title\x07/x")
    [line] = err.lines()
    assert re.fullmatch(r"level=warning container=evil\S* left out: .*", line.replace("level=info forged", ""))
    assert "\x1b" not in line and "\x07" not in line


def test_what_is_said_once_is_bounded() -> None:
    names = Names([], lambda uid: [])
    for n in range(25_000):
        names.say_once(f"c{n}", "x" * 10)
    assert len(names._said) <= 10_001


def test_asyncios_own_debugging_is_not_shown(err: Err) -> None:
    err.configure("debug")
    logging.getLogger("asyncio").debug("Using selector: EpollSelector")
    assert err.lines() == []
