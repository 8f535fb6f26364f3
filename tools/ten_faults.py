"""Ten faults, each of a kind that this program must not have, for `tools/mutants.py --faults`: a text of a module is
replaced by another, and a test that `make test` runs has to notice.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One fault. ``old`` stands once in the module; ``tests``: those of the room."""

    title: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


_AGENT, _TESTS = "agent/cgstatd", "tests/cgstatd"
FAULTS = (
    Fault(
        "a wrong sign in memory",
        f"{_AGENT}/sampling/rates.py",
        "return raw - inactive_file if",
        "return raw + inactive_file if",
        (f"{_TESTS}/sampling/test_rates.py", f"{_TESTS}/outputs", "tests/golden"),
    ),
    Fault(
        "received and sent bytes are swapped",
        f"{_AGENT}/sampling/rates.py",
        "        traffic.rx_bytes,\n        traffic.tx_bytes,\n",
        "        traffic.tx_bytes,\n        traffic.rx_bytes,\n",
        (f"{_TESTS}/sampling/test_rates.py", f"{_TESTS}/sampling/test_sampler.py", "tests/golden"),
    ),
    Fault(
        "an event is lost where several wait",
        f"{_AGENT}/feed/follow/subscription.py",
        "= [*self._changes]",
        "= [*self._changes][-8:]",
        (f"{_TESTS}/feed/follow", f"{_TESTS}/web/routes/test_follow.py"),
    ),
    Fault(
        "a descriptor is leaked at each reading",
        "cgroups/cgroupfs/kept.py",
        '                return read_rest(fd, b"")\n            finally:\n                release(fd)',
        '                return read_rest(fd, b"")\n            finally:\n                pass',
        ("tests/cgroupfs",),
    ),
    Fault(
        "a permission is not checked",
        f"{_AGENT}/web/guard.py",
        "lacking = caller.lacks(route.permission, asked)",
        'lacking = ""',
        (f"{_TESTS}/web/security", f"{_TESTS}/web/test_errors.py"),
    ),
    Fault(
        "a file is read twice in one reading",
        "cgroups/cgroupfs/reader.py",
        "        if name not in self._read:\n",
        "        if name:\n",
        ("tests/cgroupfs",),
    ),
    Fault(
        "a file that hangs holds up all others",
        f"{_AGENT}/feed/sampling_thread.py",
        "if not (hangs or worker.is_slow) or",
        "if not worker.is_slow or",
        (f"{_TESTS}/feed/test_sampling_thread.py", "tests/edges/test_hangs.py"),
    ),
    Fault(
        "a list of events has no bound",
        f"{_AGENT}/feed/told_events.py",
        "while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:",
        "while False:",
        (f"{_TESTS}/feed/test_told_events.py", f"{_TESTS}/feed/test_engine_events.py"),
    ),
    Fault(
        "a container that is not there has another status",
        f"{_AGENT}/web/app.py",
        'failure(404, "Container not found")',
        'failure(400, "Container not found")',
        (f"{_TESTS}/web/test_errors.py", f"{_TESTS}/web/routes/test_stats_of_one.py", "tests/golden"),
    ),
    Fault(
        "milliseconds under the name of seconds in /metrics",
        f"{_AGENT}/outputs/metric_families.py",
        "stall.total_usec / 1e6",
        "stall.total_usec / 1e3",
        (f"{_TESTS}/outputs", f"{_TESTS}/web/routes/test_metrics.py", "tests/golden"),
    ),
)
