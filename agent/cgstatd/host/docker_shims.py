"""The data root of a Docker whose daemon does not run, by the shims that keep its containers running.

Every running container has a shim, whose command line names containerd's socket, and beside that containerd's state:
the container's bundle there mounts files of the container's directory in the data root::

    containerd-shim-runc-v2 -namespace moby -id 7964… -address /run/containerd/…
    /run/containerd/io.containerd.runtime.v2.task/moby/7964…/config.json
        {"mounts": [{"destination": "/etc/hostname", "source": "/mnt/docker/containers/7964…/hostname"}]}

A containerd that dockerd starts itself has its socket in ``<exec root>/containerd`` and its state in ``daemon`` there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise

import msgspec

from cgroupfs import Root

from .runtimes.base import is_hex_id
from .runtimes.containerd import STATES
from .runtimes.state_values import parser_of
from .runtimes.statefile import StateFiles

COMM = b"containerd-shim"
"""As /proc/<pid>/comm has it: 15 bytes."""
_EVERY_TASK = "io.containerd.runtime.v2.task"
_TASKS = f"{_EVERY_TASK}/moby"
_EACH = 3
"""Shims of one containerd that are looked at: all of one Docker's say the same."""


class _Mount(msgspec.Struct, frozen=True):
    source: str = ""


class _Bundle(msgspec.Struct, frozen=True):
    mounts: list[_Mount] | None = None


_parse = parser_of(_Bundle)


def shim_options(arguments: list[bytes]) -> tuple[str, str] | None:
    """(container id, address) of one of Docker's shims; None: it is not Docker's."""
    given = dict(pairwise(arguments))
    container, address = os.fsdecode(given.get(b"-id", b"")), os.fsdecode(given.get(b"-address", b""))
    if given.get(b"-namespace") != b"moby" or not is_hex_id(container) or not address.startswith("/"):
        return None
    return container, address


def containerd_states(root: Root, shims: Iterable[list[bytes]]) -> Iterator[str]:
    """The state directories of containerds that are not Docker's, have tasks, and are not in the usual places: where
    their sockets are."""
    for arguments in shims:
        given = dict(pairwise(arguments))
        address = os.fsdecode(given.get(b"-address", b""))
        state = os.path.dirname(address)
        if given.get(b"-namespace") == b"moby" or not state.startswith("/") or state in STATES:
            continue
        with suppress(OSError):
            if root.identity(f"{state}/{_EVERY_TASK}").uid == 0:
                yield state


def data_roots(root: Root, shims: Iterable[list[bytes]]) -> Iterator[str]:
    """The data roots that the shims' bundles lead to."""
    files, looked = StateFiles(root), dict[str, int]()
    for arguments in shims:
        found = shim_options(arguments)
        if found is None or looked.get(found[1], 0) >= _EACH:
            continue
        container, address = found
        looked[address] = looked.get(address, 0) + 1
        state = os.path.dirname(address)
        for place in (state, f"{state}/daemon"):
            bundle = files.read(f"{place}/{_TASKS}/{container}/config.json", _parse)
            if isinstance(bundle, _Bundle) and (path := _data_root(bundle, container)):
                yield path


def _data_root(bundle: _Bundle, container: str) -> str | None:
    for mount in bundle.mounts or ():
        path, inside, _ = mount.source.partition(f"/containers/{container}/")
        if inside and path.startswith("/"):
            return path
    return None
