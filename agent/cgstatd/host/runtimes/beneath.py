"""Opening a directory of the host as if the host's root were "/": openat2's RESOLVE_IN_ROOT by hand.

With the host mounted at /host, /host/var/lib/docker may be an absolute symbolic link to /mnt/data/docker, which means
/host/mnt/data/docker; followed by the kernel it would lead into the agent's own file system. The walk holds a
descriptor of each directory on the way and never follows a link by itself, so that a link planted meanwhile is either
seen and confined, or not used. O_PATH: passing through a directory needs its x permission only.
"""

from __future__ import annotations

import errno
import os

from cgroupfs import Root
from cgroupfs.pseudofs import release

_WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_LINKS = 40
"""Symbolic links followed in one path, as in the kernel."""
MAX_DEPTH = 64
"""Directories below the root: each holds a descriptor, and a user can make links to paths of thousands."""


def open_directory(root: Root, path: str) -> tuple[int, str]:
    """An O_PATH descriptor of the host's directory ``path``, and its host path without links. Raises OSError."""
    if not root.path:  # most runtimes have nothing of most containers: one call tells so, where the walk takes ten
        _there(path)
    fds = [os.open(root.path or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    names: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    try:
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if names:  # ".." of the root is the root
                    names.pop()
                    release(fds.pop())
                continue
            if len(names) >= MAX_DEPTH:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
            try:
                fds.append(os.open(name, _WALK, dir_fd=fds[-1]))
                names.append(name)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                links += 1
                target = _link_target(name, fds[-1], links)
                if target.startswith("/"):
                    names.clear()
                    while len(fds) > 1:
                        release(fds.pop())
                todo += target.split("/")[::-1]
        return fds.pop(), "/" + "/".join(names)
    finally:
        for fd in fds:
            release(fd)


def _there(path: str) -> None:
    """Raises FileNotFoundError where the kernel finds nothing at a path; any other trouble is the walk's to tell."""
    try:
        os.stat(path)
    except FileNotFoundError:
        raise
    except OSError:
        pass


def _link_target(name: str, parent: int, links: int) -> str:
    if links > MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.EINVAL:  # no link: a file where a directory should be
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from None
        raise
