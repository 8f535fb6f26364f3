"""GET /containers/json and /containers/{id}/json: never the environment, never an argument; of mounts the names of
volumes alone.

Health is there where a file says how it is: Podman's, and Docker's until its next probe (what that finds is in memory
alone). After that what the file said last is there with its age. What probes printed is never there.

``Command`` and ``Path`` are the first program alone: its path where the runtime's state has it, else its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...basics.text import printable
from ...host.identity import Identity
from ...host.runtimes.base import Endpoint, Health, Metadata, Port, State
from ...sampling.lived import UNSEEN, Terminated, with_end
from ..follow_types import FollowExit
from .names import duration, id_of, image_id_of, labels, rfc3339, status_of

UNKNOWN_CODE = 255
"""Where a type has no word for a code that is not known: what dockerd itself says of an end that it missed."""
_SIGKILL = 128 + 9
_ENDED = ("exited", "restarting")
_FAILED = {127: ": its program is missing", 126: ": its program cannot be executed"}


class Listed(NamedTuple):
    """A container and its state; ``running``: it has a cgroup."""

    identity: Identity
    state: State
    running: bool
    born_seconds: float | None = None
    """When its cgroup was made, where its runtime does not say when it started."""
    health: Health | None = None
    """None: it has no health check, or its runtime does not say."""
    first_program: str | None = None
    """The name of its first process, where its runtime does not say what it runs."""
    begun: bool | None = True
    """Whether its program was begun; False: its engine has not said so yet. None: that cannot be told."""
    absent: str | None = None
    """Why its exit code is not known, where it is not."""

    @property
    def status(self) -> str:
        """The state in the Engine's words."""
        return status_of(self.state, running=self.running)


def gone(identity: Identity, last: FollowExit) -> Listed:
    """A container that is no longer on disk, by its last words."""
    end = Terminated(
        identity.id,
        last.exit_code,
        oom_killed=last.oom_killed,
        started_seconds=None if last.started is None else last.started / 1000,
        finished_seconds=(last.timestamp if last.finished is None else last.finished) / 1000,
    )
    found = with_end(metadata_of(identity), identity.id, end)
    return Listed(identity._replace(metadata=found), State.EXITED, False, absent=last.exit_code_absent)


def exit_code(each: Listed) -> int:
    """Of a container that has ended and does not run again yet, or whose start failed; 0 of others, as in Docker."""
    code = metadata_of(each.identity).exit_code
    return UNKNOWN_CODE if code is None and each.status in _ENDED else code or 0


def _error(each: Listed) -> str:
    """The agent's own words: an engine's name paths and mounts."""
    found = metadata_of(each.identity)
    if each.status in _ENDED and found.exit_code is None:
        killed = "" if found.oom_killed is not None else ", nor is it whether it was killed for want of memory"
        return printable(f"the exit code is not known{killed}: {each.absent or UNSEEN}", 400)
    if each.status in _ENDED and found.exit_code == _SIGKILL and found.oom_killed is None:
        return "whether it was killed for want of memory is not known"
    if each.status == "created" and found.exit_code:
        return f"its engine could not start it{_FAILED.get(found.exit_code, '')}"
    return ""


def metadata_of(identity: Identity) -> Metadata:
    """What its runtime says of it; nothing but its name where that keeps no state."""
    return identity.metadata or Metadata(identity.runtime, identity.id, identity.name)


def _started(each: Listed) -> float | None:
    found = metadata_of(each.identity).started_seconds
    return each.born_seconds if found is None else found


def created(each: Listed) -> float | None:
    """Unix time."""
    found = metadata_of(each.identity).created_seconds
    return each.born_seconds if found is None else found


def status_text(each: Listed, now: float) -> str:
    """As ``docker ps`` shows it: ``Up 2 hours``, ``Exited (3) 5 seconds ago``."""
    found, status = metadata_of(each.identity), each.status
    if each.running and status in ("running", "paused"):
        started = _started(each)
        up = "Up" if started is None else f"Up {duration(now - started)}"
        if status == "paused":
            return f"{up} (Paused)"
        return f"{up}{_health_text(each.health, now)}"
    if status == "created":
        return "Created"
    word = "Restarting" if status == "restarting" else "Exited"
    ago = "" if found.finished_seconds is None else f" {duration(now - found.finished_seconds)} ago"
    return f"{word} ({exit_code(each)}){ago}"


def _health_text(health: Health | None, now: float) -> str:
    """What is no longer known for sure has its age, so that no client takes it for the latest."""
    if health is None or not (status := health.status or health.last):
        return ""
    old = health.status is None and health.last_seconds is not None
    ago = f" {duration(now - (health.last_seconds or now))} ago" if old else ""
    return f" ({'health: ' * (status == 'starting')}{status}{ago})"


def _endpoint(each: Endpoint) -> dict[str, Any]:
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": printable(each.mac),
        "NetworkID": printable(each.network_id),
        "EndpointID": printable(each.id),
        "Gateway": each.gateway,
        "IPAddress": each.address,
        "IPPrefixLen": each.prefix,
        "IPv6Gateway": each.gateway6,
        "GlobalIPv6Address": each.address6,
        "GlobalIPv6PrefixLen": each.prefix6,
        "DriverOpts": None,
        "DNSNames": None,
    }


def _program(each: Listed) -> str:
    return printable(metadata_of(each.identity).program or each.first_program or "")


def _networks(found: Metadata) -> dict[str, Any]:
    return {printable(each.network): _endpoint(each) for each in found.endpoints}


def _port(each: Port) -> dict[str, Any]:
    published = {"IP": each.host_address or "0.0.0.0", "PublicPort": each.host_number} if each.host_number else {}  # noqa: S104
    return {"PrivatePort": each.number, "Type": each.protocol, **published}


def _mounts(found: Metadata) -> list[dict[str, Any]]:
    """The volumes that have names: not where they are, nor where they are mounted."""
    return [
        {
            "Type": "volume",
            "Name": printable(each.name),
            "Source": "",
            "Destination": "",
            "Driver": printable(each.driver),
            "Mode": "",
            "RW": each.writable,
            "Propagation": "",
        }
        for each in found.configured.volumes
    ]


def _image(found: Metadata) -> str:
    return printable(found.image or found.image_id or "")


def network_mode(found: Metadata) -> str:
    """As its runtime has it."""
    return printable(found.network_mode or "")


def summary(each: Listed, now: float) -> dict[str, Any]:
    """One element of the list."""
    identity, found = each.identity, metadata_of(each.identity)
    return {
        "Id": id_of(identity),
        "Names": [f"/{identity.name}"],
        "Image": _image(found),
        "ImageID": image_id_of(found),
        "Command": _program(each),
        "Created": int(created(each) or 0),
        "Ports": [_port(port) for port in found.ports],
        "Labels": labels(identity),
        "State": each.status,
        "Status": status_text(each, now),
        "HostConfig": {"NetworkMode": network_mode(found)},
        "NetworkSettings": {"Networks": _networks(found)},
        "Mounts": _mounts(found),
    }


def inspected(each: Listed) -> dict[str, Any]:
    """One container."""
    identity, found, status = each.identity, metadata_of(each.identity), each.status
    made = found.configured
    bridge = next((endpoint for endpoint in found.endpoints if endpoint.network == "bridge"), Endpoint(""))
    default = {key: value for key, value in _endpoint(bridge).items() if key in _OF_BRIDGE}
    return {
        "Id": id_of(identity),
        "Created": rfc3339(created(each)),
        "Path": _program(each),
        "Args": [],
        "State": {
            "Status": status,
            "Running": status in ("running", "paused", "restarting"),
            "Paused": status == "paused",
            "Restarting": status == "restarting",
            "OOMKilled": bool(found.oom_killed),
            "Dead": False,
            "Pid": (each.running and found.pid) or 0,
            "ExitCode": exit_code(each),
            "Error": _error(each),
            "StartedAt": rfc3339(_started(each)),
            "FinishedAt": rfc3339(found.finished_seconds),
            **_health(each),
        },
        "Image": image_id_of(found),
        "Name": f"/{identity.name}",
        "RestartCount": found.restarts or 0,
        "Driver": "",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": {
            "NetworkMode": network_mode(found),
            "Memory": found.memory_limit_bytes or 0,
            "MemorySwap": made.memory_and_swap_bytes or 0,
            "NanoCpus": min(int((made.cpus or 0) * 1e9), _MOST),
            "CpuQuota": made.cpu_quota_usec or 0,
            "CpuPeriod": made.cpu_period_usec or 0,
            "PidsLimit": made.pids_limit,
            "RestartPolicy": {
                "Name": printable(made.restart_policy),
                "MaximumRetryCount": max(0, min(made.restart_retries, _MOST)),
            },
            "PortBindings": _bindings(found.ports, published=True),
            "LogConfig": {"Type": printable(made.log_driver), "Config": {}},
        },
        "Mounts": _mounts(found),
        "Config": {
            "Hostname": printable(made.hostname),
            "Image": _image(found),
            "Labels": labels(identity),
            "Env": [],
            "Cmd": [_program(each)],  # Glances takes an empty list for an error
            "Entrypoint": None,
            "Tty": made.terminal,
            "ExposedPorts": {key: {} for key in _bindings(found.ports, published=False)},
        },
        "NetworkSettings": {"Ports": _bindings(found.ports, published=False), **default, "Networks": _networks(found)},
    }


def _health(each: Listed) -> dict[str, Any]:
    """Docker writes none where there is no health check."""
    found = each.health
    if found is None or not (status := found.status or found.last):
        return {}
    log = []
    if found.status is None:
        when = rfc3339(found.last_seconds)
        log = [{"Start": when, "End": when, "ExitCode": -1, "Output": f"cgstatd: known of {when}. {found.absent}"}]
    return {"Health": {"Status": status, "FailingStreak": found.failing_streak or 0, "Log": log}}


_MOST = (1 << 62) - 1
"""Of Go's whole numbers."""
_OF_BRIDGE = frozenset(
    "EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen IPv6Gateway MacAddress".split()
)
"""What Docker repeats of the network ``bridge``, and of no other."""


def _bindings(ports: Iterable[Port], *, published: bool) -> dict[str, list[dict[str, str]] | None]:
    """``published``: those alone that the host publishes."""
    found: dict[str, list[dict[str, str]] | None] = {}
    for each in ports:
        key = f"{each.number}/{each.protocol}"
        if each.host_number:
            bound = {"HostIp": each.host_address, "HostPort": str(each.host_number)}
            found[key] = [*(found.get(key) or ()), bound]
        elif not published:
            found.setdefault(key, None)
    return found
