"""One line a record, whatever it holds."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from cgstatd.basics import logs
from cgstatd.host.identity import Names


class Err:
    """Standard error as it is in a service without a locale."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._bytes = io.BytesIO()
        self._stream = io.TextIOWrapper(self._bytes, encoding="ascii", errors="backslashreplace")

    def configure(self, level: str, style: str = "text") -> None:
        """Set up logging onto it."""
        root = logging.getLogger()
        root.handlers[:] = [h for h in root.handlers if isinstance(h, logs.Unwaiting)]  # spare pytest's own
        with self._monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", self._stream)
            logs.configure(level, style)

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


def test_what_is_below_the_level_is_not_written_and_nothing_is_twice_when_it_is_configured_again(err: Err) -> None:
    err.configure("warning")
    err.configure("warning")
    logging.getLogger("cgstatd").info("no")
    logging.getLogger("cgstatd").warning("yes")
    assert err.lines() == ["level=warning yes"]


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


# -- JSON


def test_json_has_the_level_the_message_and_what_the_call_names(err: Err) -> None:
    err.configure("info", "json")
    logging.getLogger("x").warning("container=%s left out: %s (%d%%) n=%d", 'a" level="info\nb', "why", 5, 7)
    [line] = map(json.loads, err.lines())
    assert line == {
        "level": "warning",
        "container": 'a" level="info\nb',
        "n": 7,
        "message": 'container=a" level="info\nb left out: why (5%) n=7',
    }


def test_a_value_in_json_is_never_the_level_or_the_message(err: Err) -> None:
    err.configure("info", "json")
    logging.getLogger("x").error("level=%s message=%s", "debug", "forged")
    [line] = map(json.loads, err.lines())
    assert (line["level"], line["message"]) == ("error", "level=debug message=forged")


def test_an_exception_in_json_is_a_field(err: Err) -> None:
    err.configure("info", "json")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("path=%s", "/a")
    [line] = map(json.loads, err.lines())
    assert line["path"] == "/a" and line["exception"].endswith("ValueError: why")


# -- the journal


def test_under_the_journal_each_line_has_its_priority(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = os.fstat(2)
    for stream, before in ((f"{found.st_dev}:{found.st_ino}", "<4>"), (f"{found.st_dev}:1", ""), ("", "")):
        monkeypatch.setenv("JOURNAL_STREAM", stream)
        with open(2, "w", closefd=False) as opened, monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", opened)
            logs.configure("info")
            logging.getLogger("x").warning("n=%d", 1)
        assert capfd.readouterr().err == f"{before}level=warning n=1\n"
    logging.getLogger().handlers.clear()


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_priorities_are_syslogs(level: int, number: int) -> None:
    assert logs.priority(level) == number


# -- repetition


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(level: int, text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("x", level, "f.py", 1, text, arguments, None)


def test_the_same_failure_is_said_once_a_minute_with_how_often_it_was_left_out() -> None:
    clock = Clock()
    repeats = logs.Repeats(clock)
    passed = []
    for clock.now in range(130):
        each = record(logging.WARNING, "cannot read %s", "/x")
        if repeats.filter(each):
            passed.append((clock.now, vars(each)["left_out"]))
    assert passed == [(0, 0), (60, 59), (120, 59)]
    assert logs.OneLine().format(each) == "level=warning cannot read /x"
    each.left_out = 59
    assert logs.OneLine().format(each) == "level=warning cannot read /x repeated=59"
    assert json.loads(logs.Json().format(each))["repeated"] == 59


def test_other_failures_other_levels_and_news_are_not_held_back() -> None:
    repeats = logs.Repeats(Clock())
    assert repeats.filter(record(logging.WARNING, "a %s", 1))
    assert repeats.filter(record(logging.WARNING, "a %s", 2))
    assert repeats.filter(record(logging.ERROR, "a %s", 1))
    assert all(repeats.filter(record(logging.INFO, "serving")) for _ in range(3))


def test_how_much_is_remembered_of_repetition_is_bounded() -> None:
    repeats = logs.Repeats(Clock())
    for n in range(5000):
        repeats.filter(record(logging.WARNING, "%d", n))
    assert len(repeats._said) <= 1024


@pytest.fixture
def pipe(err: Err, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, logging.Logger]]:
    """The end of a pipe that nobody reads yet, and a logger that writes to the other one."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with open(writing, "w", encoding="utf-8") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        err.configure("debug")
        logging.getLogger().handlers[:] = [logs.Unwaiting(stream)]
        yield reading, logging.getLogger("cgstatd.pipe")
        logging.getLogger().handlers.clear()
    os.close(reading)


def all_of(reading: int) -> list[str]:
    data = b""
    with suppress(BlockingIOError):
        while piece := os.read(reading, 65536):
            data += piece
    return data.decode().split("\n")


def does_not_wait(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_a_pipe_that_nobody_reads_stops_nothing_and_what_is_left_out_is_counted(
    pipe: tuple[int, logging.Logger],
) -> None:
    reading, log = pipe

    def say() -> None:
        for n in range(5000):
            log.debug("line %d of many, each of which is some fifty bytes", n)

    does_not_wait(say)
    *before, empty = all_of(reading)
    assert empty == "" and before == [
        f"line {n} of many, each of which is some fifty bytes" for n in range(len(before))
    ]
    log.debug("again")
    assert all_of(reading) == [f"log: {5000 - len(before)} lines left out: nobody read them", "again", ""]
    log.debug("as ever")
    assert all_of(reading) == ["as ever", ""]


def test_a_line_that_is_longer_than_the_room_in_a_pipe_spoils_no_other(pipe: tuple[int, logging.Logger]) -> None:
    reading, log = pipe
    does_not_wait(lambda: log.debug("x" * 1_000_000))
    torn, empty = all_of(reading)[0], len(all_of(reading))
    assert set(torn) == {"x"} and len(torn) >= 4096 and empty == 1
    log.debug("next")
    assert all_of(reading) == ["", "log: 1 lines left out: nobody read them", "next", ""]
    does_not_wait(lambda: log.debug("%s", "y" * 20_000))
    assert [len(each) for each in all_of(reading)] == [20_000, 0]
