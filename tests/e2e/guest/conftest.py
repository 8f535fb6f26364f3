"""Fixtures of the tests that run inside the guest, as root; the agent under test does not."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent import Agent
from engine import MODE, record_host

RESULTS = Path("results")
MATRIX = RESULTS / "matrix.json"
MAX_RECORDED = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="a handful of containers")
    parser.addoption("--record", action="store_true", help="leave a recorded tree of every engine's containers behind")


def pytest_configure(config: pytest.Config) -> None:
    RESULTS.mkdir(exist_ok=True)
    config.addinivalue_line("markers", "modes(*names): the kinds of host this is for (default: v2, v1, hybrid)")
    config.addinivalue_line("markers", "long: left out of the short form")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not for this host."""
    kept, left = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        marker = item.get_closest_marker("modes")
        wanted = MODE in (marker.args if marker else ("v2", "v1", "hybrid"))
        short = config.getoption("--short") and item.get_closest_marker("long")
        (kept if wanted and not short else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(scope="session")
def agent() -> Agent:
    """The project's unit as an operator gets it; readings are never older than the engine's, dear as they are here."""
    return Agent(options="--max-cpu 0")


@pytest.fixture(scope="session")
def quick_agent() -> Iterator[Agent]:
    """The same that shares no readings between requests: each poll is a new one."""
    agent = Agent("cgstatd-quick", 9714, "--freshness 0 --max-cpu 0")
    yield agent
    agent.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test leaves the host behind as the agent's own tool records it, while the containers still run."""
    report = yield
    if report.failed:
        recorded = len(list(RESULTS.glob("recorded-*.tar.gz")))
        tree = record_host(item.name) if report.when == "call" and recorded < MAX_RECORDED else ""
        # At once: the summary of a long run is far away.
        text = f"\n{item.name}\n{report.longreprtext[-4000:]}\n{report.capstdout}\n{tree}\n"
        item.config.get_terminal_writer().write(text)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the run measured besides passing."""
    notes = json.loads(MATRIX.read_text())["notes"] if MATRIX.exists() else {}
    for name, note in notes.items():
        terminalreporter.write_line(f"{name}: {note}")


@pytest.fixture(scope="session")
def record() -> Iterator[dict[str, Any]]:
    """What goes into RESULTS.md: engine -> shape -> differences, or the reason there are none."""
    found: dict[str, Any] = {"cells": {}, "notes": {}}
    yield found
    MATRIX.write_text(json.dumps(found, indent=1))
