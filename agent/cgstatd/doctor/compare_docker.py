"""``cgstatd doctor --compare-docker``: an engine's own figures beside ours.

The only module that knows an engine's socket, imported only where that option was given: a process that may connect to
such a socket is root on the host, and the agent never does. Podman's socket speaks the same API.

The engine is asked before and after our own reading. Counters only grow, so ours must lie between its two; memory may
differ by what moved meanwhile.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from ..basics.text import printable
from ..host.runtimes.base import is_hex_id
from ..sampling.model import ContainerStats
from ..sampling.sampler import Pending
from .examination import Examination
from .findings import COSTS, NOTE, OK, Finding, Section, listed, some

_USUAL = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")
_SECONDS = 20.0
_MOST = 50
_BYTES = 8 << 20
_MEMORY_MARGIN = 1 << 20
"""Bytes that a busy container moves in a moment, or that the kernel has not accounted yet."""


class _Failed(Exception):
    """The engine could not be asked; the text says why."""


class _Figures(NamedTuple):
    """An engine's figures of one container."""

    memory: int
    network: tuple[int, int]
    block: tuple[int, int]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def section(found: Examination, path: str) -> Section:
    """The comparison; ``path``: the socket, "" for the usual ones."""
    where = path.removeprefix("unix://") or _usual()
    title = f"Compared with the engine at {where}" if where else "Compared with the engine"
    if not where:
        return Section(title, [Finding(NOTE, "no engine's socket is there", "", "--compare-docker SOCKET names one")])
    try:
        return Section(title, list(_compare(found, where)))
    except (_Failed, OSError, http.client.HTTPException, ValueError, LookupError, AttributeError, TypeError) as error:
        todo = "run as a user that may use the engine (root)" if isinstance(error, PermissionError) else ""
        return Section(title, [Finding(NOTE, f"it cannot be asked: {_words(error)}", "", todo)])


def _words(error: Exception) -> str:
    return printable((isinstance(error, OSError) and error.strerror) or str(error), 200)


def _usual() -> str:
    given = os.environ.get("DOCKER_HOST", "")
    return next((path for path in [given.removeprefix("unix://"), *_USUAL] if path and os.path.exists(path)), "")


def _ask(where: str, target: str) -> Any:
    connection = _Connection(where)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read(_BYTES)
        if response.status != 200:
            raise _Failed(f"{target.partition('?')[0]}: HTTP {response.status}")
        return msgspec.json.decode(body)
    finally:
        connection.close()


def _figures(where: str, container_id: str) -> _Figures:
    raw = _ask(where, f"/containers/{container_id}/stats?stream=false&one-shot=true")
    memory = raw.get("memory_stats") or {}
    stat = memory.get("stats") or {}
    cache = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    networks = (raw.get("networks") or {}).values()
    block = ((raw.get("blkio_stats") or {}).get("io_service_bytes_recursive")) or []

    def operations(name: str) -> int:
        return sum(each["value"] for each in block if str(each["op"]).lower() == name)

    return _Figures(
        _without_cache(memory.get("usage", 0), cache),
        (sum(n["rx_bytes"] for n in networks), sum(n["tx_bytes"] for n in networks)),
        (operations("read"), operations("write")),
    )


def _without_cache(usage: int, cache: int) -> int:
    return usage - cache if 0 < cache < usage else usage


def _ours(found: Examination, container_id: str) -> ContainerStats | None:
    sampler = found.sampler
    for container in sampler.containers():
        if container.identity.id == container_id:
            figures = sampler.read(container, sampler.namespaces())
            return sampler.second(figures) if isinstance(figures, Pending) else figures
    return None


def _compare(found: Examination, where: str) -> Iterator[Finding]:
    theirs = [each for each in _ask(where, "/containers/json") if is_hex_id(str(each.get("Id", "")))]
    known = {seen.container.identity.id for seen in found.containers}
    unseen = [str(each["Names"][0]).lstrip("/") for each in theirs if each["Id"] not in known]
    if unseen:
        what = f"{listed(unseen)}: the engine says that it runs, and cgstatd finds no cgroup of it"
        yield Finding(COSTS, what, "these containers", "see the sections above for what cannot be read")
    agree = 0
    for each in [each for each in theirs if each["Id"] in known][:_MOST]:
        differences = list(_differences(found, where, each["Id"]))
        agree += not differences
        if differences:
            name = printable(str(each["Names"][0]).lstrip("/"))
            yield Finding(NOTE, f"{name}: {'; '.join(differences)}")
    yield Finding(OK, f"{some(agree, 'container')} with the same memory, network and block I/O")


def _differences(found: Examination, where: str, container_id: str) -> Iterator[str]:
    before = _figures(where, container_id)
    ours = _ours(found, container_id)
    after = _figures(where, container_id)
    if ours is None:
        return
    if ours.memory_usage_bytes is not None:
        usage = _without_cache(ours.memory_usage_bytes, ours.inactive_file_bytes or 0)
        margin = _MEMORY_MARGIN + usage // 50
        if not min(before.memory, after.memory) - margin <= usage <= max(before.memory, after.memory) + margin:
            yield f"memory {usage}, the engine {after.memory}"
    pairs = (
        ("received", ours.network_rx_bytes, before.network[0], after.network[0]),
        ("sent", ours.network_tx_bytes, before.network[1], after.network[1]),
        ("read", ours.block_read_bytes, before.block[0], after.block[0]),
        ("written", ours.block_write_bytes, before.block[1], after.block[1]),
    )
    for name, value, low, high in pairs:
        if value is not None and not low <= value <= high:
            yield f"{name} {value}, the engine {high}"
