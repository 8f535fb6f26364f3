"""Podman's database ``<storage>/db.sql`` (SQLite, since 4.8): bytes -> containers.

Read into memory and opened there (sqlite3_deserialize), never by name: SQLite resolves even /proc/self/fd/<n> to a
path and opens that, so a file that was checked could be exchanged before SQLite looks. A user's database is input: no
trust in its schema (a "table" may be a view), a bound on the work, a cap on the values, nothing but the named JSON
fields decoded::

    ContainerConfig(ID, Name, PodID, JSON), ContainerState(ID, State, ExitCode, JSON), PodConfig(ID, Name, JSON),
    ContainerExitCode(ID, Timestamp, ExitCode)

ContainerState.State and ContainerState.ExitCode are written once, when the container is made; what they are now is in
ContainerState.JSON, without the keys that have Go's zero value (libpod/container.go, ContainerState)::

    {"state": 6, "startedTime": "2026-11-25T22:29:27.610482102Z", "finishedTime": "2026-11-25T22:29:28.123787941Z",
     "exitCode": 3, "oomKilled": true, "restartCount": 1, "exited": true}

ContainerExitCode keeps the last exit code of a container (Timestamp: seconds), beyond its next start and, for five
minutes, its removal. It is written before the state is, and replaced at the next end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, islice
from typing import TYPE_CHECKING, TypeGuard, TypeVar

import msgspec

from . import oci
from .base import MOST_VOLUMES, NOT_SAID, Configured, ExitCode, HealthCheck, State, Volume, is_hex_id
from .endpoints import podman_endpoints, podman_ports
from .engine import EngineRecord
from .health_log import Check, check_of
from .labels import NULL, Wanted, cut
from .oci import Linux
from .state_values import Int, is_not_utf8, parser_of, unix_time

if TYPE_CHECKING:
    import sqlite3

DATABASE_LIMIT = 64 << 20
"""Bytes: a container takes some 20 kB, its whole OCI configuration included."""
_VALUE_LIMIT = 4 << 20
MOST_ROWS = 20_000
_Row = TypeVar("_Row", bound=tuple[object, ...])
_STEPS, _MAX_STEPS = 1000, 20_000
"""The handler is called each 1,000 of SQLite's instructions; 1,000 containers take about 10,000 instructions."""
_QUERY = """
    SELECT c.ID, c.Name, p.Name, c.JSON, s.JSON
    FROM ContainerConfig c LEFT JOIN ContainerState s ON s.ID = c.ID LEFT JOIN PodConfig p ON p.ID = c.PodID
    LIMIT 20000
"""
_EXIT_CODES = """
    SELECT ID, Timestamp, ExitCode FROM ContainerExitCode ORDER BY Timestamp DESC LIMIT 1000
"""
_HIGHEST_CODE = 255
# libpod/define/containerstate.go
_STATES = {
    1: State.CREATED,  # configured: what Docker calls created
    2: State.CREATED,
    3: State.RUNNING,
    4: State.EXITED,  # stopped
    5: State.PAUSED,
    6: State.EXITED,
    7: State.EXITED,  # being removed
    8: State.RUNNING,  # stopping: its processes are still there
}


class _Spec(msgspec.Struct, frozen=True):
    linux: Linux | None = None
    process: oci.Process | None = None
    hostname: str | None = None


class _NamedVolume(msgspec.Struct, rename="camel", frozen=True):
    volume_name: str = ""
    options: list[str] | None = None


class _Config(msgspec.Struct, rename="camel", frozen=True):
    labels: msgspec.Raw = NULL
    rootfs_image_name: str | None = None
    rootfs_image_id: str | None = msgspec.field(name="rootfsImageID", default=None)
    created_time: datetime | None = None
    network_mode: str | None = None
    net_ns_ctr: str | None = None
    create_net_ns: bool = msgspec.field(name="createNetNS", default=False)
    pause: bool = False
    new_port_mappings: msgspec.Raw = NULL
    spec: _Spec | None = None
    healthcheck: Check | None = None
    health_log_destination: str = msgspec.field(name="healthLogDestination", default="")
    restart_policy: str = msgspec.field(name="restart_policy", default="")
    restart_retries: Int = msgspec.field(name="restart_retries", default=0)
    log_driver: str = ""
    named_volumes: msgspec.Raw = NULL


class _Now(msgspec.Struct, rename="camel", frozen=True):
    state: int = 0
    pid: Int = 0
    started_time: datetime | None = None
    finished_time: datetime | None = None
    exit_code: Int = 0
    exited: bool = False
    oom_killed: bool = msgspec.field(name="oomKilled", default=False)
    restart_count: Int = 0
    network_status: msgspec.Raw = NULL
    run_dir: str = ""


_parse_config = parser_of(_Config)
_parse_now = parser_of(_Now)
_parse_volumes = msgspec.json.Decoder(list[_NamedVolume] | None).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class LibpodContainer(EngineRecord):
    """One row of the database."""

    pod: str | None
    network_mode: str | None
    memory_limit_bytes: int | None
    infra: bool
    configured: Configured = NOT_SAID


@dataclass(frozen=True, slots=True)
class Database:
    """What is kept of one version of the file."""

    containers: dict[str, LibpodContainer | str]
    """By id; of a malformed row the reason."""
    exit_codes: dict[str, ExitCode]
    """Of the latest end of each container, by id."""


def parse(data: bytes, wanted: Wanted | None = None, most: int = MOST_ROWS, owner_uid: int = 0) -> Database:
    """``most`` of the containers. ``wanted``: labels that are always kept; ``owner_uid``: whose they are. Raises
    ValueError if this is no database of Podman's."""
    wanted = wanted or Wanted()
    if not data.startswith(b"SQLite format 3\0"):
        raise ValueError("not an SQLite database")
    if data[18:20] != b"\1\1":
        raise ValueError("an SQLite database in WAL mode, not to be read without its log")
    with _opened(data) as connection:
        rows = islice(_bounded(connection.execute(_QUERY), 2 * len(data)), most)
        containers = {row[0]: _row(row, wanted, owner_uid) for row in rows if _is_id(row[0])}
        return Database(containers, _exit_codes(connection, 2 * len(data)))


def _exit_codes(connection: sqlite3.Connection, most: int) -> dict[str, ExitCode]:
    """No rows where there is no such table: the names do not depend on it."""
    import sqlite3  # noqa: PLC0415

    try:
        rows = _bounded(connection.execute(_EXIT_CODES), most)
        return {row[0]: ExitCode(row[2], float(row[1])) for row in rows if _is_code(row)}
    except sqlite3.Error:
        return {}


def _is_code(row: tuple[object, ...]) -> TypeGuard[tuple[str, int, int]]:
    key, when, code = row
    return _is_id(key) and isinstance(when, int) and isinstance(code, int) and 0 <= code <= _HIGHEST_CODE


def _is_id(key: object) -> bool:
    return isinstance(key, str) and is_hex_id(key) is not None


@contextmanager
def _opened(data: bytes) -> Iterator[sqlite3.Connection]:
    """A database in memory, with bounds. The rows are taken one after the other: together they take as much again."""
    import sqlite3  # noqa: PLC0415 - 2 MB of library, for hosts with Podman only

    calls = count()
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_LIMIT)
            connection.deserialize(data)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
            connection.set_progress_handler(lambda: next(calls) > _MAX_STEPS, _STEPS)
            yield connection
    except (sqlite3.Error, OverflowError, MemoryError) as error:
        raise ValueError(f"not a database of Podman's ({type(error).__name__})") from None


def _bounded(rows: Iterable[_Row], most: int) -> Iterator[_Row]:
    """A table's rows are in its file, but a view of a few lines can make gigabytes up. ``most`` allows for joined
    names."""
    for row in rows:
        most -= sum(len(column) for column in row if isinstance(column, str | bytes))
        if most < 0:
            raise ValueError("not a database of Podman's (more comes out of it than is in it)")
        yield row


def _row(row: tuple[object, ...], wanted: Wanted, owner_uid: int) -> LibpodContainer | str:
    key, name, pod, config, now = row
    if not isinstance(name, str) or not isinstance(pod, str | None):
        return "malformed: ContainerConfig.Name"
    try:
        found = _parse_config(_json(config))
        labels = wanted.parse(found.labels, "$.labels")
        linux = (found.spec or _Spec()).linux or Linux()
        network_mode = cut(_network_mode(found, linux))
        configured = _configured(found, linux)
    except (ValueError, RecursionError) as error:
        return f"malformed: ContainerConfig.JSON of {_words_of(name)}: {_words(error)}"
    try:
        state = _parse_now(_json(now))
    except (ValueError, RecursionError) as error:
        return f"malformed: ContainerState.JSON of {_words_of(name)}: {_words(error)}"
    return LibpodContainer(
        name=name[:256],
        pod=cut(pod),
        state=_STATES.get(state.state, State.UNKNOWN),
        image=cut(found.rootfs_image_name) or None,
        image_id=cut(found.rootfs_image_id) or None,
        labels=labels,
        created_seconds=unix_time(found.created_time),
        network_mode=network_mode,
        memory_limit_bytes=oci.memory_limit_bytes(linux),
        infra=found.pause,
        configured=configured,
        pid=state.pid if state.pid > 0 else None,
        started_seconds=unix_time(state.started_time),
        finished_seconds=unix_time(state.finished_time),
        exit_code=state.exit_code if state.exited else None,
        oom_killed=state.oom_killed if state.exited else None,
        restarts=state.restart_count,
        endpoints=podman_endpoints(state.network_status),
        ports=podman_ports(found.new_port_mappings),
        health=_health(str(key), owner_uid, found, state) if found.healthcheck and found.healthcheck.wanted else None,
    )


def _configured(config: _Config, linux: Linux) -> Configured:
    """Raises ValueError, RecursionError."""
    spec, named = config.spec or _Spec(), config.named_volumes
    listed = _parse_volumes(named) if len(memoryview(named)) <= oci.LIST_LIMIT else None
    volumes = (Volume(cut(each.volume_name) or "", "", "ro" not in (each.options or ())) for each in listed or ())
    return replace(
        oci.configured(linux, spec.process, spec.hostname),
        restart_policy=cut(config.restart_policy) or "",
        restart_retries=config.restart_retries,
        log_driver=cut(config.log_driver) or "",
        volumes=tuple(islice(volumes, MOST_VOLUMES)),
    )


def _health(key: str, owner_uid: int, config: _Config, now: _Now) -> HealthCheck:
    destination, run_dir = cut(config.health_log_destination) or "", cut(now.run_dir) or ""
    return check_of(key, owner_uid, run_dir, destination)


def _json(value: object) -> bytes:
    """The column is TEXT, but Podman stores a BLOB."""
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b"{}"


def _words_of(name: str) -> str:
    return "".join(c for c in name[:80] if c.isprintable())


def _words(error: Exception) -> str:
    if isinstance(error, ValueError) and is_not_utf8(error):
        return "not valid UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _network_mode(config: _Config, linux: Linux) -> str | None:
    """As ``podman inspect`` finds HostConfig.NetworkMode."""
    if config.net_ns_ctr:
        return f"container:{config.net_ns_ctr}"
    if config.create_net_ns:
        return config.network_mode or None
    own = oci.namespaces(linux)
    if own is None:
        return None
    network = next((each for each in own if each.type == "network"), None)
    if network is None:
        return "host"
    return f"ns:{network.path}" if network.path else "none"
