"""Which steps install the service, and which undo that."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any
from urllib.parse import unquote

import msgspec

from ..auth.store import DEFAULT_TOKENS
from ..config import DEFAULT_CONFIG
from ..config.example import example
from .steps import Called, Directory, Linked, Removed, RemovedTree, Step, Written
from .systemctl import Systemctl

SERVICE, SOCKET, FORWARD = "cgstatd.service", "cgstatd.socket", "cgstatd-forward.service"
_FORWARDED = "forward.yml"
"""What FORWARD sends. It starts once its administrator says where to (forward.env), and enables it."""
_PACKAGED = "/usr/lib/systemd/system/cgstatd.service"
_HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - where the service must not be
_HEAD = "# Written by `cgstatd install`, which replaces it.\n"


class CannotInstall(Exception):
    """It cannot be installed; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is; ``root``: below which directory, "" for this host."""

    program: str
    """The cgstatd of the environment that this one runs from."""
    interpreter: str = ""
    """Its Python, which may be somewhere else."""
    root: str = ""
    systemctl: Systemctl = field(default_factory=Systemctl)

    def at(self, path: str) -> str:
        """A path of the host."""
        return self.root + path

    @property
    def units(self) -> str:
        """Where an administrator's units are."""
        return self.at("/etc/systemd/system")

    @property
    def link(self) -> str:
        """The command in the PATH of all users."""
        return self.at("/usr/local/bin/cgstatd")

    @property
    def config(self) -> str:
        """The directory with configuration and tokens."""
        return self.at(os.path.dirname(DEFAULT_CONFIG))


def source(name: str) -> str:
    """A unit's text as it was shipped: inside the wheel, or beside the code in a working tree. Raises CannotInstall."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for directory in (f"{package}/data/units", f"{package}/../../systemd"):
        try:
            with open(f"{directory}/{name}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise CannotInstall(f"{package}/data/units/{name}: no such file: this cgstatd was not installed from its wheel")


def check_not_packaged(layout: Layout) -> None:
    """Raises CannotInstall where the Debian package looks after the service."""
    if os.path.exists(layout.at(_PACKAGED)):
        raise CannotInstall("the Debian package is installed, with a service of its own: apt remove cgstatd")


def _origin() -> str:
    """Where pip got this cgstatd from, since no index has it; its source tree, as a rule."""
    with suppress(metadata.PackageNotFoundError, ValueError):
        text = metadata.distribution("cgstatd").read_text("direct_url.json")
        url = msgspec.json.decode(text, type=dict[str, Any]).get("url") if text else None
        if isinstance(url, str) and url.startswith("file:///"):
            return unquote(url.removeprefix("file://"))
    return "SOURCE-TREE"


def check(layout: Layout) -> None:
    """Whether it can be installed from where it is. Raises CannotInstall."""
    check_not_packaged(layout)
    if not os.path.exists(layout.program):
        raise CannotInstall(f"{layout.program}: no such file: install cgstatd with pip into an environment of its own")
    for path in filter(None, (os.path.realpath(layout.program), os.path.realpath(layout.interpreter or "/"))):
        if path.startswith(_HIDDEN):
            raise CannotInstall(
                f"{path}: the service cannot see what is in a home, in /tmp or in /var/tmp; install it below /opt with "
                "the system's Python: /usr/bin/python3 -m venv /opt/cgstatd && /opt/cgstatd/bin/pip install "
                f"'{_origin()}[top]' && /opt/cgstatd/bin/cgstatd install"
            )
    if not os.stat(layout.program).st_mode & 0o001:
        where = os.path.dirname(os.path.dirname(layout.program))
        raise CannotInstall(f"{layout.program}: others than its owner may not run it: chmod -R go+rX {where}")


def unit(layout: Layout) -> str:
    """The service's unit for this environment. Raises CannotInstall."""
    return _HEAD + source(SERVICE).replace("ExecStart=/usr/bin/cgstatd ", f"ExecStart={layout.program} ")


def installing(layout: Layout, *, socket: bool) -> list[Step]:
    """The steps, in order. Raises CannotInstall."""
    call = layout.systemctl
    steps: list[Step] = [
        Directory(layout.config),
        Written(layout.at(DEFAULT_CONFIG), example(), keep=True),
        Directory(layout.units),
        Written(f"{layout.units}/{SERVICE}", unit(layout)),
        Written(f"{layout.units}/{SOCKET}", _HEAD + source(SOCKET)),
        Written(f"{layout.units}/{FORWARD}", _HEAD + source(FORWARD)),
        Written(f"{layout.config}/{_FORWARDED}", source(_FORWARDED), keep=True),
        Directory(os.path.dirname(layout.link)),
        Linked(layout.link, layout.program),
        Called(call, ("daemon-reload",)),
    ]
    if socket:
        steps += [
            Called(call, ("stop", SERVICE), f"is-active --quiet {SOCKET}"),
            Called(call, ("enable", "--now", SOCKET), f"is-active --quiet {SOCKET}"),
        ]
    steps.append(Called(call, ("enable", SERVICE), f"is-enabled --quiet {SERVICE}"))
    steps.append(Called(call, ("restart", SERVICE)))  # also where nothing changed: pip may have brought newer code
    steps.append(Called(call, ("restart", FORWARD), where=f"is-active --quiet {FORWARD}"))
    return steps


def uninstalling(layout: Layout, *, purge: bool) -> list[Step]:
    """The steps back, in order; ``purge``: configuration, tokens and what is on disk too."""
    call, units = layout.systemctl, (SERVICE, SOCKET, FORWARD)
    there = [name for name in units if os.path.exists(f"{layout.units}/{name}")]
    steps: list[Step] = [Called(call, ("disable", "--now", *there))] if there else []
    steps += [Removed(f"{layout.units}/{name}") for name in units]
    steps.append(Removed(layout.link, only_to=layout.program))
    if purge:
        steps += [RemovedTree(f"{layout.units}/{name}.d") for name in units]
        ours = (layout.at(DEFAULT_CONFIG), layout.at(DEFAULT_TOKENS), f"{layout.config}/{_FORWARDED}")
        steps += [Removed(path) for path in ours]
        steps.append(Removed(layout.config))
        for name in ("cgstatd", "cgstatd-forward"):  # the history, and what waits to be sent; systemd links to them
            steps += [RemovedTree(layout.at(f"/var/lib/private/{name}")), Removed(layout.at(f"/var/lib/{name}"))]
    if there:
        steps.append(Called(call, ("daemon-reload",)))
    return steps
