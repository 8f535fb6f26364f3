"""The recorded hosts of fixtures/: each is unpacked once a test run, when a test first asks for it.

All workers of a run share one directory, which tests/conftest.py makes before them and removes after them.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator

from hostarchive import beside, unpack

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
SHARED = "RECORDED_HOSTS_OF_THIS_RUN"
"""The environment variable by which the workers know the directory. Not CGSTATD_…: those are the agent's settings."""


def archive(host: str) -> str:
    """The text that holds a recorded host (hostarchive.py)."""
    return f"{FIXTURES}/{host}.txt"


@contextlib.contextmanager
def shared_directory() -> Iterator[None]:
    """The run's directory, for this process and those that it starts."""
    with tempfile.TemporaryDirectory(prefix="cgstatd-hosts-") as directory:
        os.chmod(directory, 0o755)  # some tests read as another user
        os.environ[SHARED] = directory
        try:
            yield
        finally:
            del os.environ[SHARED]


@functools.cache
def recorded_host(host: str) -> str:
    """The directory of a recorded host, as ``cgstatd record`` wrote it: to be read only, since others read it too."""
    directory = f"{os.environ[SHARED]}/{host}"
    with open(f"{directory}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(directory):
            shutil.rmtree(f"{directory}.part", ignore_errors=True)  # of a worker that was killed
            unpack(archive(host), f"{directory}.part")
            os.rename(f"{directory}.part", directory)
    return directory


@functools.cache
def beside_readings(host: str, name: str) -> bytes:
    """A file that lies beside the readings of a recorded host, such as expected.json."""
    return beside(archive(host), name)
