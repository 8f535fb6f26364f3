"""Podman's database, made anew from what its reader understood: nothing else of it can get into a recording.

Reading it again gives the same rows. The command of a health check is not known by then, and neither is anything else
of the OCI configuration but limits, the hostname, and whether there is a terminal.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..host.runtimes import libpod
from ..host.runtimes.base import Endpoint, HealthCheck, Port, State
from ..host.runtimes.health_log import EVENTS, IN_EVENTS, LOCAL_NAME
from ..host.runtimes.libpod import LibpodContainer

_STATES = {State.CREATED: 2, State.RUNNING: 3, State.EXITED: 4, State.PAUSED: 5}
_TABLES = """
    PRAGMA page_size = 1024;
    CREATE TABLE ContainerConfig (ID TEXT PRIMARY KEY, Name TEXT, PodID TEXT, JSON TEXT);
    CREATE TABLE ContainerState (ID TEXT PRIMARY KEY, JSON TEXT);
    CREATE TABLE PodConfig (ID TEXT PRIMARY KEY, Name TEXT);
    CREATE TABLE ContainerExitCode (ID TEXT PRIMARY KEY, Timestamp INTEGER, ExitCode INTEGER);
"""


def podman_database(data: bytes) -> bytes:
    """The bytes of the new database. Raises ValueError if this is none of Podman's."""
    found = libpod.parse(data)
    rows = {key: row for key, row in found.containers.items() if isinstance(row, LibpodContainer)}
    pods = sorted({row.pod for row in rows.values() if row.pod is not None})
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(_TABLES)
        made.executemany("INSERT INTO PodConfig VALUES (?, ?)", zip(pods, pods, strict=True))
        for key, row in rows.items():
            config, now = (msgspec.json.encode(value).decode() for value in (_config(row), _state(row)))
            made.execute("INSERT INTO ContainerConfig VALUES (?, ?, ?, ?)", (key, row.name, row.pod, config))
            made.execute("INSERT INTO ContainerState VALUES (?, ?)", (key, now))
        codes = ((key, int(each.recorded_seconds), each.code) for key, each in found.exit_codes.items())
        made.executemany("INSERT INTO ContainerExitCode VALUES (?, ?, ?)", codes)
        made.commit()
        return made.serialize()


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _config(row: LibpodContainer) -> dict[str, Any]:
    return {
        "labels": dict(row.labels.kept.items()),
        "rootfsImageName": row.image,
        "rootfsImageID": row.image_id,
        "createdTime": _time(row.created_seconds),
        "createNetNS": row.network_mode is not None,
        "networkMode": row.network_mode,
        "pause": row.infra,
        "spec": _spec(row),
        "restart_policy": row.configured.restart_policy,
        "restart_retries": row.configured.restart_retries,
        "logDriver": row.configured.log_driver,
        "namedVolumes": [
            {"volumeName": each.name, "options": [] if each.writable else ["ro"]} for each in row.configured.volumes
        ],
        "newPortMappings": [_mapping(port) for port in row.ports],
    } | (_check(row.health) if row.health else {})


def _spec(row: LibpodContainer) -> dict[str, Any]:
    made = row.configured
    resources = {
        "memory": {"limit": row.memory_limit_bytes, "swap": made.memory_and_swap_bytes},
        "cpu": {"quota": made.cpu_quota_usec, "period": made.cpu_period_usec},
        "pids": {"limit": made.pids_limit},
    }
    return {"linux": {"resources": resources}, "hostname": made.hostname, "process": {"terminal": made.terminal}}


def _state(row: LibpodContainer) -> dict[str, Any]:
    return {
        "state": _STATES.get(row.state, 0),
        "pid": row.pid or 0,
        "startedTime": _time(row.started_seconds),
        "finishedTime": _time(row.finished_seconds),
        "exited": row.exit_code is not None,
        "exitCode": row.exit_code or 0,
        "oomKilled": bool(row.oom_killed),
        "restartCount": row.restarts,
        "networkStatus": {each.network: _status(each) for each in row.endpoints},
        "runDir": _run_dir(row.health),
    }


def _check(check: HealthCheck) -> dict[str, Any]:
    """Where its results are; of the check itself that there is one."""
    folder, name = os.path.split(check.log)
    if check.log:
        destination = "" if name == LOCAL_NAME else folder or "/"
    else:  # in no file, or in a place that is not followed: a word that is no path is not followed either
        destination = EVENTS if check.written.absent == IN_EVENTS else "elsewhere"
    return {"healthcheck": {"Test": ["CMD"]}, "healthLogDestination": destination}


def _run_dir(check: HealthCheck | None) -> str:
    folder, name = os.path.split(check.log if check else "")
    return f"{folder}/userdata" if name == LOCAL_NAME else ""


def _mapping(port: Port) -> dict[str, Any]:
    return {
        "container_port": port.number,
        "host_port": port.host_number,
        "host_ip": port.host_address,
        "protocol": port.protocol,
        "range": 1,
    }


def _status(endpoint: Endpoint) -> dict[str, Any]:
    """As ``podman_endpoints`` reads it."""
    four = (endpoint.address, endpoint.prefix, endpoint.gateway)
    six = (endpoint.address6, endpoint.prefix6, endpoint.gateway6)
    subnets = [{"ipnet": f"{net}/{prefix}", "gateway": way} for net, prefix, way in (four, six) if net]
    return {"interfaces": {"eth0": {"subnets": subnets, "mac_address": endpoint.mac}}}
