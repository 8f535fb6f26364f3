"""``cgstatd record``: this host's files, read twice, as a tree that every command reads like the host.

For bug reports, tests and demonstrations, so it holds names, images, labels and addresses, and no environment,
arguments, mounts, commands of health checks or logs (``reduced_state``). Written beside its destination and put in
place when it is whole: a run that fails or is interrupted leaves nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Iterator

import msgspec

from cgroupfs import Root
from cgroupfs.pseudofs import release

from ..basics.text import printable
from ..sampling.container import Container
from ..sampling.open_host import HostOptions, open_host
from ..sampling.sampler import Sampler
from . import host_files
from .interrupts import Interrupts
from .kernel_files import KernelRecorder
from .recorded_root import FORMAT, INDEX, Index, Reading
from .state_files import StateRecorder
from .written_tree import CannotRecord, LeftOut, TreeWriter

__all__ = ["CannotRecord", "record_host"]
READINGS = ("t0", "t1")
_SHOWN = 5
_ADVICE = {
    errno.EACCES: "name a directory where you may write",
    errno.EPERM: "name a directory where you may write",
    errno.ENOENT: "the directory above it is not there: make it first",
    errno.ENOTDIR: "name a directory, not a file",
    errno.EROFS: "name a directory on another file system",
    errno.ENOSPC: "make room or name a directory on another file system",
    errno.ENOTEMPTY: "name one that does not exist yet",
    errno.EEXIST: "name one that does not exist yet",
}


def record_host(root: Root, options: HostOptions, directory: str, interval: float) -> str:
    """Write the recording; a summary for people. Raises CannotRecord, NoCgroups, ListingFailed."""
    left_out = LeftOut()
    with _destination(os.path.abspath(directory)) as path:
        sampler = open_host(root, dataclasses.replace(options, follow=False))
        try:
            writers, containers = _readings(sampler, options, path, interval, left_out)
        finally:
            sampler.close()
        for writer in writers:
            writer.write()
        facts = host_files.facts(root, sampler.hierarchy)
        readings = {name: writer.reading() for name, writer in zip(READINGS, writers, strict=True)}
        _write_index(path, Index(FORMAT, facts, readings, list(left_out.notes)))
    files, size = sum(writer.files for writer in writers), sum(writer.bytes for writer in writers)
    return _summary(directory, facts, readings, containers, f"{files} files, {size / 1e6:.1f} MB", left_out)


def _readings(
    sampler: Sampler, options: HostOptions, path: str, interval: float, left_out: LeftOut
) -> tuple[list[TreeWriter], list[Container]]:
    """The readings, and the containers that are in the last one."""
    kernel, state = KernelRecorder(sampler, left_out), StateRecorder(sampler.root, options, left_out)
    writers: list[TreeWriter] = []
    containers: list[Container] = []
    began = time.monotonic()
    for number, name in enumerate(READINGS):
        time.sleep(max(0.0, began + number * interval - time.monotonic()))
        writer = TreeWriter(f"{path}/{name}", sampler.root.clock())
        containers = kernel.record(writer)
        writer.add(host_files.mountinfo(sampler.root, sampler.hierarchy))
        writer.add(host_files.engines(sampler.root, options))
        uids = {uid for each in containers for uid in (each.ref.owner_uid, each.ref.parent_owner_uid)}
        writer.add(state.pieces(frozenset(uids - {0})))
        known = [each.identity.metadata for each in containers if each.identity.metadata is not None]
        writer.add(state.of_containers(sampler.names, known))
        writers.append(writer)
    return writers, containers


def _write_index(path: str, index: Index) -> None:
    with open(f"{path}/{INDEX}", "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(index), indent=1) + b"\n")


# -- the destination


@contextlib.contextmanager
def _destination(directory: str) -> Iterator[str]:
    """A directory to write to, which takes the place of ``directory`` at the end, or disappears."""
    directory = os.path.realpath(directory)
    with Interrupts() as interrupts:  # they wait from the making of the directory to its end, but for the body
        try:
            exists = os.path.lexists(directory)
            if exists and os.listdir(directory):
                raise CannotRecord(f"{printable(directory)}: is not empty: {_ADVICE[errno.ENOTEMPTY]}")
            where = directory if exists else os.path.dirname(directory)  # inside: it may be a mount point
            path = tempfile.mkdtemp(prefix=".cgstatd-record-", dir=where)
            fd = _pinned(path)
        except OSError as error:
            raise _cannot(directory, error) from error
        try:
            with interrupts.admitted():
                yield f"/proc/self/fd/{fd}"
                _make_readable(f"/proc/self/fd/{fd}")
            _put_in_place(path, directory, exists)
        except OSError as error:
            raise _cannot(directory, error) from error
        finally:
            release(fd)
            shutil.rmtree(path, ignore_errors=True)


def _pinned(path: str) -> int:
    """A descriptor of the new directory. Whoever owns the one around it may put another, or a link, in its place: what
    is written, and made readable, must not be found by the path."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
        release(fd)
        raise PermissionError(errno.EPERM, "another user has put a directory of their own there", path)
    return fd


def _put_in_place(path: str, directory: str, exists: bool) -> None:
    if not exists:
        os.rename(path, directory)
        return
    for name in (*READINGS, INDEX):  # the index last: no command takes a directory without it for a recording
        os.rename(f"{path}/{name}", f"{directory}/{name}")


def _make_readable(path: str) -> None:
    """Readable by all users, whatever the umask: nothing in it is secret, and recordings are made to be passed on."""
    for base, _, names in os.walk(path):
        os.chmod(base, 0o755)  # noqa: S103
        for name in names:
            os.chmod(f"{base}/{name}", 0o644)


def _cannot(directory: str, error: OSError) -> CannotRecord:
    advice = _ADVICE.get(error.errno or 0, "name another directory")
    return CannotRecord(f"{printable(directory)}: {error.strerror}: {advice}")


# -- the summary


def _summary(
    directory: str,
    facts: dict[str, str | int],
    readings: dict[str, Reading],
    containers: list[Container],
    size: str,
    left_out: LeftOut,
) -> str:
    first, second = (readings[name].monotonic_ns for name in READINGS)
    by_runtime = Counter(each.identity.runtime for each in containers)
    which = ", ".join(f"{printable(runtime)} {count}" for runtime, count in sorted(by_runtime.items()))
    shown = printable(directory, 4096)
    lines = [
        f"recorded {len(containers)} containers{f' ({which})' if which else ''} of a host with kernel "
        f"{facts['kernel']}, cgroups {facts['mode']}: {size}, two readings {(second - first) / 1e9:.1f} s apart",
        "it holds names, images, labels, addresses and process names; no environment, arguments, mounts or logs",
    ]
    notes = list(left_out.notes)
    if notes:
        lines.append(f"left out, since it could not be read (all of it is listed in {shown}/{INDEX}):")
        lines += [f"  {note}" for note in notes[:_SHOWN]]
        if len(notes) + left_out.more > _SHOWN:
            lines.append(f"  and {len(notes) + left_out.more - _SHOWN} more")
    lines.append(f"look at it with: cgstatd stats --host-root {shown}")
    return "\n".join(lines)
