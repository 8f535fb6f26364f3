"""For every test."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pyfakefs.fake_os import FakeOsModule

from inmemory import in_memory
from recordedhosts import shared_directory

# A shell that runs the tests in the background has them start with SIGINT ignored, and every program that they start
# would inherit that: Ctrl-C must do here what it does in a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pread(self: FakeOsModule, fd: int, size: int, offset: int) -> bytes:
    """pyfakefs has none."""
    self.lseek(fd, offset, 0)
    return self.read(fd, size)


FakeOsModule.pread = pread  # type: ignore[attr-defined]  # that is why it is given one

# How long an example takes says how busy the machine is. `make nightly` tries as many as hypothesis would.
settings.register_profile("cgstatd", deadline=None, max_examples=100 if "NIGHTLY" in os.environ else 25)
settings.load_profile("cgstatd")

LONG = (
    "edges/test_hangs.py",
    "attacks/test_attacks_by_files.py",
    "attacks/test_attacks.py",
    "prometheus/test_link_down.py",
    "browser/test_looks.py",
    "prometheus/test_forward.py",
    "attacks/test_schemathesis.py",
    "browser/test_past.py",
    "browser/test_trouble.py",
    "browser/test_page.py",
    "cgstatd/feed/history/test_disk_faults.py",
    "cgstatd/web/routes/test_follow.py",
    "cgstatd/web/routes/test_engine.py",
    "cgstatd/web/server/test_limits.py",
    "cgstatd/web/routes/test_stream.py",
    "cgstatd/feed/test_shared_passes.py",
    "edges/test_straddle.py",
    "prometheus/test_scrape.py",
    "cgstatd/web/routes/test_health.py",
    "browser/test_choices.py",
)
"""Files that take long, or mostly wait: they are begun first, so that no worker is left alone with one at the end, and
the many that never wait fill what is left of the processors."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """For golden files."""
    parser.addoption("--update", action="store_true", help="write the golden files anew")


def pytest_collection_finish() -> None:
    """Seven thousand tests and what they import live to the end: the collector need not go through them again and
    again, which was an eighth of the time."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 10, 10)


def pytest_configure(config: pytest.Config) -> None:
    """One temporary directory and one of recorded hosts for the whole run: its workers are started after this, and
    inherit both."""
    gc.disable()  # until the tests are collected, of which nothing goes
    if not hasattr(config, "workerinput"):
        made = contextlib.ExitStack()
        config.add_cleanup(made.close)
        made.enter_context(in_memory())
        made.enter_context(shared_directory())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; within a file, and among the others, the order stays."""
    order = {f"{Path(__file__).parent}/{name}": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(str(item.path), len(LONG)))


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command that a test runs in this process sets the log up, on the standard error of that test: that is undone.

    Else what later tests log would be written to a stream that is closed.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
