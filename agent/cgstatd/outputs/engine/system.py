"""/version and /info."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ... import __version__
from .containers import Listed
from .inventory import images
from .names import hashed, rfc3339_ns

API_VERSION = "1.51"
VERSION = f"28.3.0+cgstatd.{__version__}"
"""Of the first Docker that has this API, since clients compare it with what they need (beszel: 25); what it really is
stands behind the ``+``, as semantic versions have it."""
MIN_API_VERSION = "1.24"
HEADERS = {
    "Api-Version": API_VERSION,
    "Ostype": "linux",
    "Docker-Experimental": "false",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
}
READ_ONLY = "cgstatd is read-only: it answers GET for containers, their figures and events, and has no engine behind it"
_GO = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True, slots=True)
class HostWords:
    """What the host says of itself. None or empty: it does not."""

    name: str
    kernel: str
    machine: str
    system: str
    cores: int | None
    memory_bytes: int | None
    cgroup_version: str
    time_ns: int
    machine_id: str = ""
    uptime_seconds: float | None = None


def version(host: HostWords) -> dict[str, Any]:
    """GET /version"""
    known = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": _GO.get(host.machine, host.machine),
        "KernelVersion": host.kernel,
        "BuildTime": "",
    }
    details = dict(sorted((known | {"Experimental": "false"}).items()))
    return {
        "Platform": {"Name": "cgstatd (read-only)"},
        "Components": [{"Name": "Engine", "Version": VERSION, "Details": details}],
        "Version": VERSION,
        **known,
    }


def info(host: HostWords, several: Sequence[Listed]) -> dict[str, Any]:
    """GET /info"""
    running = sum(each.status in ("running", "restarting") for each in several)
    paused = sum(each.status == "paused" for each in several)
    return {
        "ID": hashed("host", 0, host.name),
        "Containers": len(several),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(several) - running - paused,
        "Images": len(images(several)),
        "Driver": "cgstatd",
        "DriverStatus": [["Access", "read-only"]],
        "Plugins": {"Volume": [], "Network": [], "Authorization": None, "Log": []},
        "MemoryLimit": True,
        "SwapLimit": True,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "IPv4Forwarding": True,
        "Debug": False,
        "OomKillDisable": False,
        "SystemTime": rfc3339_ns(host.time_ns),
        "LoggingDriver": "",
        "CgroupDriver": "",
        "CgroupVersion": host.cgroup_version,
        "KernelVersion": host.kernel,
        "OperatingSystem": host.system or "Linux",
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": host.machine,
        "IndexServerAddress": "",
        "RegistryConfig": None,
        "NCPU": host.cores or 0,
        "MemTotal": host.memory_bytes or 0,
        "GenericResources": None,
        "DockerRootDir": "",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": host.name,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": VERSION,
        "Runtimes": {name: {"path": ""} for name in sorted({each.identity.runtime for each in several})},
        "DefaultRuntime": "",
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": "",
                  "RemoteManagers": None},
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": [],
        "Warnings": [READ_ONLY],
    }  # fmt: skip
