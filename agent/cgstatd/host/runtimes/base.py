"""What every container runtime module offers: recognising its cgroups, and reading names from its on-disk state.

A runtime is one module with a ``match`` function and, where the runtime keeps state on disk, a class with the
:class:`MetadataSource` methods; it is listed once in the tuples of ``cgstatd.host.runtimes``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

HEX_ID = r"[0-9a-f]{64}"
is_hex_id = re.compile(HEX_ID).fullmatch


class State(enum.Enum):
    """A container's state as its runtime's files tell it; the kernel's freezer overrules RUNNING and PAUSED."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Match:
    """A cgroup directory recognised as a container by its name and its parent's path."""

    runtime: str
    """``RUNTIME`` of its module."""
    id: str
    """64 hex digits, or the name for runtimes that have no ids."""
    payload: str = ""
    """The child cgroup that holds the processes where the runtime makes one (crun: ``container``), else empty."""


class Skip(enum.Enum):
    """A directory that is known not to be a container and to hold none (a conmon scope): discovery does not look
    inside."""

    SKIP = "skip"


SKIP = Skip.SKIP
Matcher = Callable[[str, str], Match | Skip | None]
"""(parent path, directory name) -> what it is; None: it is not of this runtime."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place in one network. Empty: its runtime does not say."""

    network: str
    network_id: str = ""
    id: str = ""
    address: str = ""
    prefix: int = 0
    gateway: str = ""
    address6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    mac: str = ""
    driver: str = ""
    """Of the network."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a container listens on or publishes."""

    number: int
    protocol: str
    host_number: int = 0
    """0: it is not published."""
    host_address: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume with a name that a container has."""

    name: str
    driver: str = ""
    """Empty: its runtime does not say."""
    writable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """How a container was made, as far as monitors ask for it. None or empty: its runtime does not say, or has no
    limit."""

    hostname: str = ""
    terminal: bool = False
    restart_policy: str = ""
    """``no``, ``always``, ``unless-stopped``, ``on-failure``."""
    restart_retries: int = 0
    log_driver: str = ""
    cpus: float | None = None
    """Processors' worth of CPU time."""
    cpu_quota_usec: int | None = None
    """In each period."""
    cpu_period_usec: int | None = None
    pids_limit: int | None = None
    memory_and_swap_bytes: int | None = None
    """-1: swap without a limit."""
    volumes: tuple[Volume, ...] = ()


NOT_SAID = Configured()
MOST_VOLUMES = 64
"""Of a container."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a container's health check goes."""

    status: str | None
    """``starting``, ``healthy`` or ``unhealthy``; None: not known."""
    absent: str | None = None
    """Why it is not known."""
    failing_streak: int | None = None
    checked_seconds: float | None = None
    """Unix time at which the latest probe ended; None: there was none yet."""
    last: str | None = field(default=None, compare=False)
    """What was known last, where the status is not known any more."""
    last_seconds: float | None = field(default=None, compare=False)
    """Unix time at which that was so."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """That a container has a health check, and what its runtime's state says of it."""

    written: Health
    until_seconds: float | None = None
    """Unix time from which there may be a newer one, which is not written; None: each is written into ``log``."""
    log: str = ""
    """The file (host path) that is written after each probe, instead of ``written``; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a runtime's on-disk state says of one container. Never holds environment, command or mounts, but the names
    of volumes."""

    runtime: str
    id: str
    name: str
    image: str | None = None
    """The image's name as given when the container was made (``lab/busybox:1``)."""
    image_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    labels_left_out: bool = False
    """Whether it has more labels, or longer ones, than are kept."""
    created_seconds: float | None = None
    """Unix time."""
    state: State = State.UNKNOWN
    network_mode: str | None = None
    """``host``, ``none``, ``container:<id>``, a network's name; None where the runtime does not say."""
    memory_limit_bytes: int | None = None
    """The limit that the container was configured with; None: no limit, or not said."""
    pod: str | None = None
    """The pod's name (Podman), or ``<namespace>/<pod>`` (Kubernetes, where names repeat across namespaces)."""
    infra: bool = False
    """A pod's own container that only holds its namespaces (Podman's infra, Kubernetes' sandbox)."""
    owner_uid: int = 0
    """Whose runtime it is: 0, or the user of a rootless one."""
    started_seconds: float | None = None
    """Unix time of the last start."""
    restarts: int | None = None
    """How often the runtime restarted it by itself."""
    exit_code: int | None = None
    """Of the last end; None while it runs, or where the runtime does not say."""
    oom_killed: bool | None = None
    """Whether the runtime saw the kernel kill it for want of memory, the last time it ended."""
    finished_seconds: float | None = None
    """Unix time of the last end; None where there was none, or where the runtime does not say."""
    pid: int | None = None
    """Its first process, in the runtime's own pid namespace; None while there is none, or where it is not said."""
    kept_in: str = ""
    """Directory (host path) where the runtime renames or deletes a file at each change of what is said here; empty:
    none is known."""
    shown_id: str = ""
    """Set where the runtime itself shows another id than the cgroup's."""
    program: str | None = None
    """The path of its first program, without arguments."""
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[Port, ...] = ()
    health: HealthCheck | None = None
    """None: it has no health check, or its runtime knows none."""
    configured: Configured = NOT_SAID


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a container's metadata could not be had: one sentence, and the file or directory it is about."""

    reason: str
    path: str
    right: bool = False
    """Whether a right is missing: then the reason is that of every container in the same place."""


@dataclass(frozen=True, slots=True)
class ExitCode:
    """How a container ended last, where the runtime keeps it apart from the record of the container."""

    code: int
    recorded_seconds: float
    """Unix time, in whole seconds."""


@dataclass(frozen=True, slots=True)
class LogSize:
    """The size of the file that a runtime logs a container's output to, and of those that it was rotated into."""

    path: str
    """Of the one that is written now (host path)."""
    size_bytes: int
    files: int


class MetadataSource(Protocol):
    """One runtime's state directory (of one owner). Synchronous; called from the sampling thread.

    Both methods notice changes by themselves (a file is parsed again only when its inode, mtime or size changed) and
    raise nothing: what cannot be read, parsed or trusted comes back as Unreadable.
    """

    runtime: str
    """As in Match.runtime."""
    owner_uid: int
    places: tuple[str, ...]
    """Directories and files (host paths); one of them changes when a container is made. They are looked at before a
    container that was not known is asked for again. The first one is a directory in which something is deleted when a
    container is removed."""

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of one container; None: this source does not know the id."""

    def all(self) -> Iterator[Metadata]:
        """Every container on disk that can be read, stopped ones included."""


@runtime_checkable
class RecordsEnds(MetadataSource, Protocol):
    """The source of a runtime that writes each end of a container into its state."""

    def record_folder(self, container_id: str) -> str | None:
        """The directory (host path) in which a file comes or goes whenever the record of this container is written."""

    def exit_code(self, container_id: str) -> ExitCode | None:
        """The code of the latest end, also of a container that was started again or removed since; None: it keeps
        none."""


@runtime_checkable
class LogsHealth(MetadataSource, Protocol):
    """The source of a runtime that writes each probe of a health check into a file of its own."""

    def health(self, log: str) -> Health | Unreadable | None:
        """What that file says; None: it is not there."""


@runtime_checkable
class KeepsLogs(MetadataSource, Protocol):
    """The source of a runtime that logs to a file beside its state."""

    def log_size(self, container_id: str) -> LogSize | Unreadable | None:
        """None: it has no log of this container in the place where its own log driver keeps it."""
