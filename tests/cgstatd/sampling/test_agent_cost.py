"""What the agent says of itself is what the kernel says of its process."""

from __future__ import annotations

import os
import threading

import psutil
import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgstatd.sampling.host_figures import OWN_DESCRIPTORS, agent_cost, open_descriptors


def test_the_figures_are_the_kernels() -> None:
    process, cost = psutil.Process(), agent_cost()
    assert cost.rss_bytes == pytest.approx(process.memory_info().rss, rel=0.05)
    assert cost.descriptors == len(os.listdir("/proc/self/fd")) - 1
    assert cost.threads == len(os.listdir("/proc/self/task"))
    assert cost.cpu_seconds > 0 and cost.cpu_seconds == pytest.approx(sum(process.cpu_times()[:2]), abs=1)


def test_a_thread_and_a_descriptor_more_are_counted() -> None:
    before, done = agent_cost(), threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    with open("/dev/null", "rb"):
        after = agent_cost()
    done.set()
    thread.join()
    assert (after.threads, after.descriptors) == (before.threads + 1, before.descriptors + 1)


def test_a_kernel_that_does_not_tell_their_number_has_them_listed(fs: FakeFilesystem) -> None:
    for name in ("0", "1", "2", "7", "9"):
        fs.create_file(f"{OWN_DESCRIPTORS}/{name}")
    assert os.stat(OWN_DESCRIPTORS).st_size == 0
    assert open_descriptors() == 4  # the listing has one of its own
