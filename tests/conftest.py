"""For every test."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from recordedhosts import shared_directory

# A shell that runs the tests in the background has them start with SIGINT ignored, and every program that they start
# would inherit that: Ctrl-C must do here what it does in a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = (
    "attacks/test_schemathesis.py",
    "attacks/test_attacks_by_hoards.py",
    "attacks/test_schemathesis_with_tokens.py",
    "attacks/test_attacks_by_files.py",
    "attacks/test_attacks.py",
    "attacks/test_memory_limit.py",
    "edges/test_hangs.py",
    "browser/test_looks.py",
    "browser/test_address.py",
    "attacks/test_attacks_on_rules.py",
    "browser/test_page.py",
    "browser/test_trouble.py",
)
"""Files that take a minute or so: they are begun first, so that no worker is left alone with one at the end."""


def pytest_configure(config: pytest.Config) -> None:
    """One directory of recorded hosts for the whole run: its workers are started after this, and inherit it."""
    if not hasattr(config, "workerinput"):
        made = contextlib.ExitStack()
        config.add_cleanup(made.close)
        made.enter_context(shared_directory())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; within a file, and among the others, the order stays."""
    order = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(LONG)))
