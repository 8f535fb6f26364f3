"""What the agent says of itself is what the kernel says of its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgstatd.sampling.host_figures import OWN_DESCRIPTORS, open_descriptors
from wire import ENVIRONMENT

_PROGRAM = """
import json, os, psutil, threading
from cgstatd.sampling.host_figures import agent_cost
process, cost, done = psutil.Process(), agent_cost(), threading.Event()
kernel = {"rss_bytes": process.memory_info().rss, "cpu_seconds": sum(process.cpu_times()[:2]),
          "descriptors": len(os.listdir("/proc/self/fd")) - 1, "threads": len(os.listdir("/proc/self/task"))}
thread = threading.Thread(target=done.wait)
thread.start()
with open("/dev/null", "rb"):
    after = agent_cost()
done.set()
thread.join()
print(json.dumps([cost._asdict(), kernel, after._asdict()]))
"""


def test_the_figures_are_the_kernels_and_a_thread_and_a_descriptor_more_are_counted() -> None:
    """In a process of its own: what other tests leave open ends in this one at any time."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, env=ENVIRONMENT, check=True)
    cost, kernel, after = json.loads(done.stdout)
    assert cost["rss_bytes"] == pytest.approx(kernel["rss_bytes"], rel=0.05)
    assert (cost["descriptors"], cost["threads"]) == (kernel["descriptors"], kernel["threads"])
    assert 0 < cost["cpu_seconds"] == pytest.approx(kernel["cpu_seconds"], abs=1)
    assert (after["threads"], after["descriptors"]) == (cost["threads"] + 1, cost["descriptors"] + 1)


def test_a_kernel_that_does_not_tell_their_number_has_them_listed(fs: FakeFilesystem) -> None:
    for name in ("0", "1", "2", "7", "9"):
        fs.create_file(f"{OWN_DESCRIPTORS}/{name}")
    assert os.stat(OWN_DESCRIPTORS).st_size == 0
    assert open_descriptors() == 4  # the listing has one of its own
