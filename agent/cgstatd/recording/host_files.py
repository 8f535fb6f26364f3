"""What the readers need to find anything on a recorded host: its cgroup mounts, its engines, its facts."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

from cgroupfs import Hierarchy, Root
from cgroupfs.hierarchy import parse_mountinfo

from ..host.running_engines import containerd_states, engine_processes, root_of, running_roots
from ..sampling.open_host import DEFAULT_STORAGE, HostOptions
from .written_tree import Piece

_PID_MAX = 4194304
_ESCAPES = ((b"\\", b"\\134"), (b" ", b"\\040"), (b"\t", b"\\011"), (b"\n", b"\\012"))


def mountinfo(root: Root, hierarchy: Hierarchy) -> list[Piece]:
    """The lines of the mounts that the hierarchy was found in, by their host paths; the same for pid 1 and self."""
    points = {mount.point for mount in hierarchy.trees}
    for who in ("1", "self") if root.path else ("self", "1"):
        try:
            data = root.read(f"/proc/{who}/mountinfo")
        except OSError:
            continue
        found: dict[str, bytes] = {}
        for line in data.split(b"\n"):
            for mount in parse_mountinfo(line):
                point = mount.point
                if point not in points:
                    point = point.removeprefix(root.path)
                if point in points:
                    found.setdefault(point, _at(line, point))
        if found.keys() == points:
            text = b"".join(line + b"\n" for line in found.values())
            return [Piece("/proc/1/mountinfo", text), Piece("/proc/self/mountinfo", text)]
    return []


def _at(line: bytes, point: str) -> bytes:
    """A line with its mount point as the host calls it (with the host mounted at /host, not /host/sys/…)."""
    fields = line.split(b" ")
    fields[4] = os.fsencode(point)
    for raw, escaped in _ESCAPES:
        fields[4] = fields[4].replace(raw, escaped)
    return b" ".join(fields)


def engines(root: Root, options: HostOptions) -> Iterator[Piece]:
    """The processes of engines: their data root, and dockerd's network (see ``running_engines``)."""
    seen = set()
    for path, arguments in engine_processes(root):
        found = root_of(arguments)
        program = os.path.basename(arguments[0])
        if program == b"dockerd" or (found and found not in seen and found[1] != DEFAULT_STORAGE):
            seen.add(found)
            yield from _process(path, program, found[1] if found else "")
        if program == b"dockerd":
            try:
                yield Piece(f"{path}/net/dev", root.read(f"{path}/net/dev"), root.identity(f"{path}/net/dev").inode)
            except OSError:
                continue
    dead = [path for engine, path in running_roots(root) if engine == "docker" and (engine, path) not in seen]
    named = [(b"dockerd", path) for path in (*options.docker_roots, *dead)] + [
        (b"conmon", path) for path in options.podman_roots
    ]
    named += [(b"containerd-shim", state) for state in dict.fromkeys(containerd_states(root))]
    for number, (program, path) in enumerate(named, _PID_MAX + 1):
        yield from _process(f"/proc/{number}", program, path)


def _process(path: str, program: bytes, data_root: str) -> Iterator[Piece]:
    arguments = [program]
    if data_root and program == b"dockerd":
        arguments += [b"--data-root", os.fsencode(data_root)]
    elif program == b"containerd-shim":
        arguments += [b"-namespace", b"default", b"-address", os.fsencode(f"{data_root}/address")]
    elif data_root:
        arguments += [b"-b", os.fsencode(f"{data_root.rstrip('/')}/overlay-containers/{'0' * 64}/userdata")]
    yield Piece(f"{path}/comm", program + b"\n")
    yield Piece(f"{path}/cgroup", b"0::/\n")  # outside every container, or it would not be here
    yield Piece(f"{path}/cmdline", b"".join(each + b"\0" for each in arguments))


def facts(root: Root, hierarchy: Hierarchy) -> dict[str, str | int]:
    """For people: what kind of host it was."""
    return {
        "kernel": _kernel(root),
        "mode": hierarchy.mode,
        "cpus": _cpus(root) or os.cpu_count() or 0,
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "machine": platform.machine(),
    }


def _kernel(root: Root) -> str:
    """``Linux version 6.12.118 (…)``."""
    try:
        return root.read("/proc/version").split()[2].decode("ascii", "replace")
    except (OSError, IndexError):
        return platform.release()


def _cpus(root: Root) -> int:
    try:
        lines = root.read("/proc/stat").splitlines()
    except OSError:
        return 0
    return sum(line.startswith(b"cpu") and line[3:4].isdigit() for line in lines)
