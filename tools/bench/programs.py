"""The C programs, compiled here or brought along, and a directory for them and for what they write."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ("floor", "worker")


def compile_programs(directory: str, *options: str) -> None:
    """Build them. Raises FileNotFoundError where there is no C compiler."""
    for name in NAMES:
        subprocess.run(["cc", "-O2", *options, "-o", f"{directory}/{name}", f"{HERE}/{name}.c"], check=True)


@contextlib.contextmanager
def programs(ready: str | None = None) -> Iterator[str]:
    """A directory with the programs, those of ``ready`` where there is no compiler; SIGTERM cleans up, too."""
    if os.geteuid() != 0:
        raise SystemExit("bench: needs root: it makes cgroups and network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="cgstatd-bench-") as directory:
        if ready:
            for name in NAMES:
                shutil.copy(f"{ready}/{name}", directory)
        else:
            try:
                compile_programs(directory)
            except FileNotFoundError:
                raise SystemExit("bench: needs a C compiler (cc): apt install gcc libc6-dev") from None
        yield directory


if __name__ == "__main__":  # for a guest without a compiler
    compile_programs(sys.argv[1], "-static")
