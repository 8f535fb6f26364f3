"""Binds what the settings name. Where that fails it says what holds the address, and what to do."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat

from ..basics.errors import BadSetting
from ..basics.private_directory import NotPrivate, trusted_place
from ..basics.text import is_number, printable
from ..config.address import Address
from ..web.server.listener import UnixSocket, bind

_FIRST_FREE = "/proc/sys/net/ipv4/ip_unprivileged_port_start"


def bind_address(address: Address) -> list[socket.socket]:
    """The sockets of one address. Raises BadSetting."""
    try:
        if not address.path:
            return bind(address.host, address.port)
        _remove_stale(address.path)
        return [UnixSocket(address.path)]
    except OSError as error:
        raise BadSetting("listen", f"{address}: cannot listen there: {_why(address, error)}") from error
    except UnicodeError as error:
        shown = printable(address.host, 80)
        raise BadSetting("listen", f"{address}: cannot listen there: {shown!r} is no host name") from error


def bind_docker_socket(path: str, mode: str, group: str) -> socket.socket:
    """The socket that has the Engine API alone. Raises BadSetting.

    Its mode and group are set by its path: nobody else may be able to put another file there.
    """
    try:
        trusted_place(path, os.geteuid())
        _remove_stale(path)
        before = os.umask(0o177)  # no other user can connect before it has its group and its mode
        try:
            sock = UnixSocket(path)
        finally:
            os.umask(before)
    except NotPrivate as error:
        raise BadSetting("docker_socket", f"{path}: a socket is not safe there: {error}") from error
    except OSError as error:
        raise BadSetting("docker_socket", f"{path}: cannot listen there: {_why_unix(path, error)}") from error
    try:
        if group:
            os.chown(path, -1, _gid(group))
        os.chmod(path, int(mode, 8))
    except (OSError, KeyError) as error:
        sock.close()
        why = "there is no such group" if isinstance(error, KeyError) else error.strerror
        raise BadSetting("docker_socket_group", f"{group}: {why}: the agent has to be root or in that group") from error
    return sock


def _gid(group: str) -> int:
    """Raises KeyError."""
    return int(group) if is_number(group, 9) else grp.getgrnam(group).gr_gid


def _remove_stale(path: str) -> None:
    """Remove a socket that no process serves any more.

    Anything else at the path stays: binding then says that it is in use. (connect(2) answers ECONNREFUSED for a regular
    file too.)
    """
    with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            probe.setblocking(False)  # a server with a full backlog would keep it waiting
            if probe.connect_ex(path) == errno.ECONNREFUSED:
                os.unlink(path)


def _why(address: Address, error: OSError) -> str:
    if address.path:
        return _why_unix(address.path, error)
    if isinstance(error, socket.gaierror):
        return f"no address is known for {printable(address.host, 80)} ({error.strerror})"
    if error.errno == errno.EADDRINUSE:
        return f"the port is in use by {holder(address)}: stop that, or choose another port"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return (
            f"no interface of this host has the address {address.host} (`ip address` lists them; 127.0.0.1 is this "
            "host alone, 0.0.0.0 every interface)"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"ports below {_first_free()} need CAP_NET_BIND_SERVICE: choose a higher one, or let systemd bind it "
            "(cgstatd.socket)"
        )
    return error.strerror or str(error)


def _why_unix(path: str, error: OSError) -> str:
    directory = os.path.dirname(path)
    if error.errno == errno.EADDRINUSE:
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                return "a file is there that is no socket: remove it, or choose another path"
        return f"it is in use by {_unix_holder(path)}: stop that, or choose another path"
    if error.errno == errno.ENOENT:
        return f"there is no directory {directory}: make it first"
    if error.errno == errno.ENOTDIR:
        return f"{directory} is no directory"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"a socket cannot be made in {directory} by uid {os.geteuid()} ({error.strerror})"
    return f"a socket's path has 107 bytes at most, this one has {len(os.fsencode(path))}" if (
        error.errno is None
    ) else error.strerror or str(error)  # fmt: skip


def _first_free() -> int:
    try:
        with open(_FIRST_FREE, "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024


def holder(address: Address) -> str:
    """What listens on a port, in words: ``cgstatd (pid 4711)``. The names of another user's processes cannot be
    read."""
    import psutil  # noqa: PLC0415 - only where something is in the way

    try:
        found = [
            connection
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == address.port
        ]
    except (psutil.Error, OSError):
        found = []
    same = [connection for connection in found if connection.laddr.ip == address.host] or found
    return _process(next((connection.pid for connection in same if connection.pid), None), f":{address.port}")


def _unix_holder(path: str) -> str:
    import psutil  # noqa: PLC0415 - only where something is in the way

    try:
        pids = [each.pid for each in psutil.net_connections("unix") if each.laddr == path and each.pid]
    except (psutil.Error, OSError):
        pids = []
    return _process(next(iter(pids), None), path)


def _process(pid: int | None, what: str) -> str:
    import psutil  # noqa: PLC0415 - only where something is in the way

    if pid is None:
        return f"another user's process (sudo ss -lntxp | grep {what} names it)"
    name = "a process"
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        words = [os.path.basename(word) for word in process.cmdline()[:4]]
        # an interpreter's name says nothing: the program is its first argument
        name = "cgstatd" if "cgstatd" in words else process.name()
    return f"{printable(name, 40)} (pid {pid})"
