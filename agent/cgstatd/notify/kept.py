"""What the webhook has to know after the agent was started again: one file in a directory of its own.

It holds what waits, which ends are known, and what was told and still holds. It is written to a new file that is
renamed over the old one, so that a full disk or a power cut leaves the old one. Every call may block: it is made in a
thread of its own (:mod:`.keeper`).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os

import msgspec

from ..basics.private_directory import NotPrivate, private_directory
from ..basics.private_file import read_private
from ..outputs.notification_json import Notification
from .known_ends import LatestEnd

log = logging.getLogger(__name__)
FORMAT = 1
_NAME = "kept.json"
_MOST_BYTES = 8 << 20


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Times are Unix seconds."""

    format: int
    since: float | None
    """Until when ``ends`` are complete."""
    ends: dict[str, LatestEnd]
    """By container."""
    near: list[str]
    """Ids of containers near their memory limit, which were told."""
    flapping: list[str]
    """Workloads that were told to flap."""
    waiting: list[tuple[float, Notification]]
    """Since when, and what; the oldest first."""


class CannotKeep(Exception):
    """Nothing is kept; the text says why."""


_decode = msgspec.json.Decoder(Kept).decode
_encode = msgspec.json.Encoder().encode


def encode(kept: Kept) -> bytes:
    """The content of the file."""
    return _encode(kept)


class KeptFile:
    """Of one agent: another one that is given the same directory keeps nothing."""

    def __init__(self, directory: str) -> None:
        """``directory``: of the agent's state; the file's own is made in it."""
        self._state = directory
        self._directory = ""
        self._lock = -1

    def open(self) -> Kept | None:
        """What was kept; None: nothing that can be used. Raises CannotKeep."""
        try:
            self._take()
            return self._read()
        except NotPrivate as error:
            raise CannotKeep(str(error)) from error
        except OSError as error:
            raise CannotKeep(f"{error.filename or self._state}: {error.strerror}") from error

    def _take(self) -> None:
        if self._lock >= 0:
            return
        wanted = os.path.join(self._state, "notify")
        for each in (self._state, wanted):
            with contextlib.suppress(FileExistsError):
                os.mkdir(each, 0o700)
        directory = private_directory(wanted)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise CannotKeep(f"{directory} is in use by another agent") from error
        self._directory, self._lock = directory, lock

    @property
    def path(self) -> str:
        """Of the file."""
        return os.path.join(self._directory, _NAME)

    def _read(self) -> Kept | None:
        try:
            data = read_private(self.path, _MOST_BYTES)
            if len(data) > _MOST_BYTES:
                raise ValueError(f"larger than {_MOST_BYTES} bytes")
            found = _decode(data)
            if found.format != FORMAT:
                raise ValueError(f"format {found.format}, not {FORMAT}")
        except FileNotFoundError:
            return None
        except (NotPrivate, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            log.error("notify: %s is not used, the agent begins as at its first start: %s", self.path, error)
            return None
        return found

    def write(self, data: bytes) -> None:
        """Replace what is kept. Raises OSError."""
        fresh = f"{self.path}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(fresh, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(fresh, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise

    def forget(self) -> None:
        """Nothing is to be kept any more. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def close(self) -> None:
        """Another agent may use the directory; safe to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
