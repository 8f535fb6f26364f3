"""A file has one reader at a time, a thread that was replaced ends its work, and the kernel says what it waits for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgroupfs import Root, hangs
from cgroupfs.hangs import LeftBehind, OneReader, StillHangs, awaited_file, leave_behind_if, left_check, still_wanted


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


def test_the_second_reader_of_a_file_is_refused_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = OneReader()
    with readers.of("/proc/stat"):
        assert readers.count == 1
        with pytest.raises(StillHangs, match="an earlier reading still hangs: '/proc/stat'"), readers.of("/proc/stat"):
            pass
        with readers.of("/proc/meminfo"):
            assert readers.count == 2
        monkeypatch.setattr(hangs, "PATIENCE_SECONDS", float("inf"))  # it was waited for in vain: not once more
        with pytest.raises(StillHangs), readers.of("/proc/stat"):
            pass
    with readers.of("/proc/stat"):  # the next one is another reader
        pass
    assert readers.count == 0


def test_a_reader_that_is_slow_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that got no processor for a moment kept the turn, and another took the file for one that hangs."""
    monkeypatch.setattr(hangs, "PATIENCE_SECONDS", 60.0)
    readers, order = OneReader(), list[str]()
    waits = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda seconds: waits.set())

    def second() -> None:
        with readers.of("/proc/stat"):
            order.append("second")

    thread = threading.Thread(target=second)
    with readers.of("/proc/stat"):
        thread.start()
        waits.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_one_whose_work_was_taken_over_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hangs, "PATIENCE_SECONDS", float("inf"))
    readers, reads, answers = OneReader(), threading.Event(), threading.Event()

    def first() -> None:
        leave_behind_if(reads.is_set)
        with pytest.raises(LeftBehind), readers.of("/proc/stat"):
            reads.set()
            answers.wait()

    thread = threading.Thread(target=first)
    thread.start()
    reads.wait()
    with pytest.raises(StillHangs), readers.of("/proc/stat"):
        pass
    answers.set()
    thread.join()


def test_a_thread_that_was_replaced_ends_where_the_file_answers() -> None:
    ended: list[str] = []
    left, readers = False, OneReader()

    def work() -> None:
        nonlocal left
        leave_behind_if(lambda: left)
        still_wanted()
        try:
            with readers.of("/file"):
                left = True  # it hung, and another thread has begun the work anew
            ended.append("goes on")
        except Exception:
            ended.append("takes it for a failure")
        except LeftBehind:
            ended.append("ends")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == ["ends"] and readers.count == 0
    assert not left_check()()
    still_wanted()


def test_a_hung_file_of_the_host_refuses_the_next_reading_and_looking(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu 1\n")
    root = Root(str(tmp_path))
    for read in (root.read, root.identity):
        with pytest.raises(StillHangs), root.readers.of("/stat"):
            read("/stat")
    assert root.read("/stat") == b"cpu 1\n"


@pytest.fixture
def waiting() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Begins something in a thread; the kernel's number of that thread."""
    threads: list[threading.Thread] = []

    def begin(work: Callable[[], object]) -> int:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        return threads[-1].native_id or 0

    yield begin
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def awaited(thread: int, wanted: str) -> str:
    """What a thread waits for, once it does."""
    found = ""
    for _ in range(2000):
        found = awaited_file(thread)
        if found == wanted:
            break
        threading.Event().wait(0.005)
    return found


def _needs_the_kernels_word() -> None:
    if not os.path.exists("/proc/self/task") or not os.access("/proc/self/syscall", os.R_OK):
        pytest.skip("this kernel does not say what a thread waits for")


@pytest.mark.parametrize("how", ["path", "name"])
def test_what_a_thread_waits_for_to_be_opened(
    how: str, fifo: str, waiting: Callable[[Callable[[], object]], int]
) -> None:
    _needs_the_kernels_word()
    directory = os.open(os.path.dirname(fifo), os.O_PATH | os.O_DIRECTORY)

    def work() -> None:
        place = (fifo, None) if how == "path" else (os.path.basename(fifo), directory)
        os.close(os.open(place[0], os.O_RDONLY, dir_fd=place[1]))

    thread = waiting(work)
    try:
        assert awaited(thread, fifo) == fifo
    finally:
        os.close(os.open(fifo, os.O_WRONLY))  # with a writer, opening comes to its end
        os.close(directory)


def test_what_a_thread_waits_for_to_be_read(fifo: str, waiting: Callable[[Callable[[], object]], int]) -> None:
    _needs_the_kernels_word()
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    os.set_blocking(reader, True)
    thread = waiting(lambda: os.read(reader, 1))
    try:
        assert awaited(thread, fifo) == fifo
    finally:
        os.write(writer, b"x")
        os.close(writer)
    os.close(reader)


def test_a_thread_that_waits_for_no_file_or_is_gone_has_none(waiting: Callable[[Callable[[], object]], int]) -> None:
    event = threading.Event()
    thread = waiting(lambda: event.wait(10))
    assert awaited(thread, "") == ""
    event.set()
    assert awaited_file(2**22 + 1) == ""
