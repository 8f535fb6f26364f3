"""The runtimes' state files of a host, each reduced; read through StateFiles, so under the same rules of trust.

A runtime's files are one line in a tuple here: where they are, and the function of ``reduce`` that keeps of them what
the runtime's structs read. They are written at the path that was looked for, not where a symbolic link led: the tree
has no links.
"""

from __future__ import annotations

import operator
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from cgroupfs import Root

from ..host.identity import Names
from ..host.running_engines import running_roots
from ..host.runtimes import docker_networks
from ..host.runtimes.base import LogSize, Metadata, Unreadable
from ..host.runtimes.budget import unlimited
from ..host.runtimes.containerd import STATES, is_word
from ..host.runtimes.docker import docker_data_root
from ..host.runtimes.file_sizes import Sizes, sizes
from ..host.runtimes.health_log import LOG_BYTES
from ..host.runtimes.libpod import DATABASE_LIMIT
from ..host.runtimes.logs import of_log
from ..host.runtimes.nspawn import is_machine_name
from ..host.runtimes.state_values import is_file_name
from ..host.runtimes.statefile import FILE_LIMIT, StateFiles
from ..sampling.open_host import DEFAULT_STORAGE, HostOptions
from . import reduced_state as reduce
from .reduced_database import podman_database
from .written_tree import LeftOut, Piece

T = TypeVar("T")


class _Files(NamedTuple):
    """Files of one kind: a path with variables (see ``_VARIABLES``), and what is kept of them."""

    pattern: str
    reduce: Callable[[bytes], bytes]
    limit: int = FILE_LIMIT


_TASK = "io.containerd.runtime.v2.task/<namespace>/<task>/"
_VARIABLES: dict[str, Callable[[str], object]] = {
    "<id>": re.compile(r"[0-9a-f]{64}").fullmatch,
    "<task>": is_word,
    "<name>": is_file_name,
    "<machine>": is_machine_name,
    "<driver>": lambda name: is_file_name(name) and name.endswith("-containers"),
    "<namespace>": lambda name: is_file_name(name) and name not in ("moby", "plugins.moby"),  # Docker's own
}
DOCKER = (
    _Files("containers/<id>/config.v2.json", reduce.docker_config),
    _Files("containers/<id>/hostconfig.json", reduce.docker_hostconfig),
    _Files(docker_networks.FILE, reduce.docker_networks, docker_networks.LIMIT),
)
STORAGE = (
    _Files("db.sql", podman_database, DATABASE_LIMIT),
    _Files("<driver>/containers.json", reduce.storage_list, 16 << 20),
    _Files("<driver>/volatile-containers.json", reduce.storage_list, 16 << 20),
    _Files("<driver>/<id>/userdata/config.json", reduce.crio_config),
    _Files("<driver>/<id>/userdata/state.json", reduce.crio_state),
)
LXC = (_Files("<name>/config", reduce.lxc_config),)
CONTAINERD = (_Files(f"{_TASK}config.json", reduce.containerd_config), _Files(f"{_TASK}init.pid", reduce.pid))
SYSTEM = (
    _Files("etc/docker/daemon.json", reduce.docker_daemon),
    *(each._replace(pattern=f"{state[1:]}/{each.pattern}") for state in STATES for each in CONTAINERD),
    _Files("var/lib/nerdctl/<name>/names/<name>/<name>", reduce.nerdctl_name),
    _Files("run/systemd/machines/<machine>", reduce.machine),
)
USERS = (("containers/storage", STORAGE), ("docker", DOCKER), ("lxc", LXC))
"""Below ~/.local/share."""
_MOST = 20_000
"""Files of one kind: a user may make any number of directories in their home."""
_TRIES = 20
_TRY_SECONDS = 0.05


class StateRecorder:
    """Reads the state files of the system's runtimes, and of the users that own containers."""

    def __init__(self, root: Root, options: HostOptions, left_out: LeftOut) -> None:
        self._root = root
        self._options = options
        self._left_out = left_out

    def pieces(self, uids: frozenset[int]) -> Iterator[Piece]:
        """The files as they are now."""
        files = StateFiles(self._root, 0, unlimited())
        found = list(running_roots(self._root))
        docker = [*self._options.docker_roots, docker_data_root(self._root), *(p for e, p in found if e == "docker")]
        podman = [*self._options.podman_roots, DEFAULT_STORAGE, *(p for e, p in found if e == "podman")]
        yield from self._below(files, "", SYSTEM)
        for top in dict.fromkeys(docker):
            yield from self._below(files, top, DOCKER)
        for top in dict.fromkeys(podman):
            yield from self._below(files, top, STORAGE)
        for top in dict.fromkeys(path for engine, path in found if engine == "containerd"):
            yield from self._below(files, top, CONTAINERD)
        yield from self._below(files, "/var/lib/lxc", LXC)
        if uids:
            yield from self._users(files, uids)

    def of_containers(self, names: Names, several: Iterable[Metadata]) -> Iterator[Piece]:
        """What their state only points to: the results of health checks, and the sizes of logs."""
        for each in several:
            files = StateFiles(self._root, each.owner_uid)
            path = each.health.log if each.health is not None else ""
            if path and (found := self._noted(files.read(path, reduce.health_log, LOG_BYTES))):
                yield Piece(path, found, uid=each.owner_uid)
            log = names.log_size(each)
            if isinstance(log, LogSize):
                yield from self._log(files, log)

    @staticmethod
    def _log(files: StateFiles, log: LogSize) -> Iterator[Piece]:
        directory, name = os.path.split(log.path)
        there = files.names(directory)
        for each in filter(of_log(name), there if isinstance(there, list) else ()):
            found = sizes(files, directory, partial(operator.eq, each))
            if isinstance(found, Sizes):
                yield Piece(f"{directory}/{each}", b"", uid=files.owner_uid, size=found.size_bytes)

    def _users(self, files: StateFiles, uids: frozenset[int]) -> Iterator[Piece]:
        passwd = self._noted(files.read("/etc/passwd", partial(reduce.passwd, uids=uids)))
        if not passwd:
            return
        yield Piece("/etc/passwd", passwd)
        for line in passwd.splitlines():
            fields = line.split(b":")
            home = os.fsdecode(fields[5]).rstrip("/")
            if home.startswith("/"):
                own = StateFiles(self._root, int(fields[2]))
                for folder, kinds in USERS:
                    yield from self._below(own, f"{home}/.local/share/{folder}", kinds)

    def _below(self, files: StateFiles, top: str, kinds: Sequence[_Files]) -> Iterator[Piece]:
        for kind in kinds:
            for count, path in enumerate(self._paths(files, top.rstrip("/"), kind.pattern.split("/"))):
                if count >= _MOST:
                    self._left_out.add(path, f"and more: only {_MOST} files of a kind are recorded")
                    break
                if found := self._noted(_read(files, path, kind)):
                    yield Piece(path, found, uid=files.owner_uid)

    def _paths(self, files: StateFiles, top: str, rest: Sequence[str]) -> Iterator[str]:
        """Every path that fits the pattern's components; the last of them need not be there."""
        if not rest:
            yield top
            return
        fits = _VARIABLES.get(rest[0])
        if fits is None:
            yield from self._paths(files, f"{top}/{rest[0]}", rest[1:])
            return
        for name in self._noted(files.names(top)) or ():
            if fits(name) and not (rest[1:] and self._is_file(f"{top}/{name}")):
                yield from self._paths(files, f"{top}/{name}", rest[1:])

    def _noted(self, found: T | Unreadable) -> T | None:
        """What was read; None, and a note, if it cannot be."""
        if not isinstance(found, Unreadable):
            return found
        self._left_out.add(found.path, found.reason)
        return None

    def _is_file(self, path: str) -> bool:
        """A plain file beside the directories (/var/lib/lxc/lxc.conf)."""
        try:
            return stat.S_ISREG(os.lstat(self._root.join(path)).st_mode)
        except OSError:
            return False


def _read(files: StateFiles, path: str, kind: _Files) -> bytes | Unreadable | None:
    """The reduced file; a database between two transactions (see ``podman``)."""
    if kind.reduce is not podman_database:
        return files.read(path, kind.reduce, kind.limit)
    for _ in range(_TRIES):
        quiet = not files.size_beside(path, "-journal")
        found = files.read(path, kind.reduce, kind.limit)
        if quiet and not files.size_beside(path, "-journal"):
            return found
        files.forget(path)
        time.sleep(_TRY_SECONDS)
    return Unreadable("is being written (it has a journal)", path)
