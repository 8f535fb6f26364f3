"""The made-up host of the hang table, and a file of it that can be told to hang: a FUSE file system of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from attacks.slowfile import slow
from edges.hang_table import FILES, HUNG, MEMORY, OTHERS
from fakehost import FakeHost, container_id
from helpers import write_files


def path_of(host: FakeHost, path: str, container: str = HUNG) -> Path:
    """A path of the table."""
    pid = (host.scope(container) / "cgroup.procs").read_text().split()[0]
    identity = container_id(container)
    places = {"cgroup": host.scope(container), "process": f"proc/{pid}", "id": identity}
    return host.path / path.format(state=f"var/lib/docker/containers/{identity}", **places)


def make_host(folder: Path, *more: str) -> FakeHost:
    """The containers of the table with every file that any route reads, and ``more`` of that kind."""
    host = FakeHost(folder)
    for name in (HUNG, *OTHERS, *more):
        host.add(name, memory=MEMORY)
        for path, content in FILES.items():
            write_files("", {str(path_of(host, path, name)): content})
        path_of(host, "{state}/{id}-json.log", name).chmod(0o640)
    return host


@dataclass
class Blocking:
    """A file that can be told to hang."""

    path: Path
    met: threading.Event = field(default_factory=threading.Event)
    """Set once a call hangs."""
    _hangs: threading.Event = field(default_factory=threading.Event)
    _answers: threading.Event = field(default_factory=threading.Event)

    def hang(self) -> None:
        """From now on no call that concerns it comes back."""
        self._answers.clear()
        self.met.clear()
        self._hangs.set()

    def answer(self) -> None:
        """Everything goes on."""
        self._hangs.clear()
        self._answers.set()

    def _wait(self) -> None:
        if self._hangs.is_set():
            self.met.set()
            self._answers.wait()

    @contextmanager
    def mounted(self) -> Iterator[Blocking]:
        """Put it over the file that is there, with the same content. Skips where that cannot be."""
        content = self.path.read_bytes()
        with slow(self.path, lambda: content, self._wait):
            try:
                yield self
            finally:
                self.answer()
