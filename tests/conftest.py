"""For every test."""

from __future__ import annotations

import signal

import pytest

# A shell that runs the tests in the background has them start with SIGINT ignored, and every program that they start
# would inherit that: Ctrl-C must do here what it does in a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests run one after the other where several run at once (pytest-xdist, ``--dist loadgroup``).

    Those of a file share what it started; attacks share the agent of their stage; what makes or counts cgroups of this
    very kernel would be seen by the others that do.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            kernel = item.get_closest_marker("host") is not None or "tests/bench" in item.nodeid
            item.add_marker(pytest.mark.xdist_group("kernel" if kernel else item.nodeid.partition("::")[0]))
