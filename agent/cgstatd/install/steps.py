"""What installing is made of: steps that say what they would do, do it, and find nothing to do the second time."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from .systemctl import Systemctl


class Step(Protocol):
    """One thing to do."""

    @abstractmethod
    def pending(self) -> str:
        """What it would do, in words; empty: nothing, it is done already."""

    @abstractmethod
    def do(self) -> None:
        """Do it. Raises OSError, SystemctlFailed."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory is there."""

    path: str

    def pending(self) -> str:
        return "" if os.path.isdir(self.path) else f"make {self.path}"

    def do(self) -> None:
        os.makedirs(self.path, mode=0o755, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Written:
    """A file has a content; ``keep``: one that is there stays as it is."""

    path: str
    content: str
    keep: bool = False

    def pending(self) -> str:
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                same = file.read() == self.content
        except FileNotFoundError:
            return f"write {self.path}"
        return "" if same or self.keep else f"replace {self.path}"

    def do(self) -> None:
        """A process that reads it meanwhile gets the old file or the new one, never half of one."""
        fd, temporary = tempfile.mkstemp(prefix=".cgstatd-", dir=os.path.dirname(self.path))
        try:
            with open(fd, "w", encoding="utf-8") as file:
                file.write(self.content)
                os.fchmod(fd, 0o644)
            os.replace(temporary, self.path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


@dataclass(frozen=True, slots=True)
class Linked:
    """A link leads to a file. Any other thing at its place is not ours, and stays."""

    path: str
    target: str

    def pending(self) -> str:
        if os.path.realpath(self.path) == os.path.realpath(self.target):
            return ""
        if os.path.lexists(self.path) and not os.path.islink(self.path):
            return ""
        return f"link {self.path} to {self.target}"

    def do(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        os.symlink(self.target, self.path)


@dataclass(frozen=True, slots=True)
class Removed:
    """A file, a link or an empty directory is gone; ``only_to``: a link that leads elsewhere is not ours."""

    path: str
    only_to: str = ""

    def pending(self) -> str:
        if not os.path.lexists(self.path):
            return ""
        if self.only_to and os.path.realpath(self.path) != os.path.realpath(self.only_to):
            return ""
        if os.path.isdir(self.path) and not os.path.islink(self.path) and os.listdir(self.path):
            return ""
        return f"remove {self.path}"

    def do(self) -> None:
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            os.rmdir(self.path)
        else:
            os.unlink(self.path)


@dataclass(frozen=True, slots=True)
class RemovedTree:
    """A directory and all that is in it is gone."""

    path: str

    def pending(self) -> str:
        return f"remove {self.path} and all that is in it" if os.path.isdir(self.path) else ""

    def do(self) -> None:
        shutil.rmtree(self.path)


@dataclass(frozen=True, slots=True)
class Called:
    """systemctl was called, ``unless`` it says already what is wanted, or says no ``where`` the call is for."""

    systemctl: Systemctl
    arguments: Sequence[str]
    unless: str = ""
    """``is-enabled cgstatd.service``: a question whose yes means that there is nothing to do."""
    where: str = ""
    """``is-active cgstatd.service``: a question whose no means that there is nothing to do."""

    def pending(self) -> str:
        if self.where and not self.systemctl.ask(*self.where.split()):
            return ""
        if self.unless and self.systemctl.ask(*self.unless.split()):
            return ""
        return f"systemctl {' '.join(self.arguments)}"

    def do(self) -> None:
        self.systemctl.call(*self.arguments)
