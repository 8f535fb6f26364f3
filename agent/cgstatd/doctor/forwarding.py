"""Whether the host's metrics are sent to a server (cgstatd-forward.service), and what waits on disk for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from ..basics.regular_file import read_regular
from .findings import COSTS, NOTE, OK, Finding

CONFIGURED = "/etc/cgstatd/forward.env"
UNIT = "cgstatd-forward.service"
_NAME = UNIT.partition(".")[0]
QUEUES = "/var/lib/private/cgstatd-forward/persistent-queue"
"""A directory for each server, with the state of its queue."""
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
"""systemd's own hierarchy is one of these (v2, v1, hybrid)."""
_MOST_BYTES = 1 << 16
_MIB = 1 << 20


class Queue(msgspec.Struct):
    """vmagent's metainfo.json."""

    written: int = msgspec.field(name="WriterOffset")
    read: int = msgspec.field(name="ReaderOffset")


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look; ``root``: below which directory, "" for this host."""

    root: str = ""

    def at(self, path: str) -> str:
        """A path of the host."""
        return self.root + path


def findings(places: Places | None = None) -> Iterator[Finding]:
    """Nothing where no server was named."""
    places = places or Places()
    if not os.path.exists(places.at(CONFIGURED)):
        return
    if any(os.path.isdir(places.at(f"{each}/system.slice/{UNIT}")) for each in _CGROUPS):
        yield _queued(places)
        return
    what = f"forwarding: {CONFIGURED} names a server, and {UNIT} does not run"
    todo = f"systemctl enable --now {_NAME}; journalctl -u {_NAME} says why not"
    yield Finding(COSTS, what, "the server gets nothing of this host", todo)


def _queued(places: Places) -> Finding:
    """What of the queues the servers have not taken: with a link that is up, all of it is in memory."""
    waiting = 0
    try:
        folders = os.listdir(places.at(QUEUES))
    except FileNotFoundError:
        folders = []
    except OSError as error:
        todo = "sudo cgstatd doctor looks at its queue"
        return Finding(NOTE, f"forwarding: {UNIT} runs; {QUEUES}: {error.strerror}", "", todo)
    for folder in folders:
        path = places.at(f"{QUEUES}/{folder}/metainfo.json")
        with suppress(OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
            queue = msgspec.json.decode(read_regular(path, _MOST_BYTES), type=Queue)
            waiting += max(0, queue.written - queue.read)
    if not waiting:
        return Finding(OK, f"forwarding: {UNIT} runs, and nothing waits for the server on disk")
    what = f"forwarding: {waiting / _MIB:.1f} MiB wait on disk for the server"
    costs = "nothing as long as they have room: beyond 1 GB the oldest go"
    todo = f"journalctl -u {_NAME} says what the server or the link answers"
    return Finding(NOTE, what, costs, todo)
