"""What a container's detail looks like: every value with its unit and source, or the reason why there is none."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from .follow_types import FollowExit
from .identity_json import ContainerIdentity


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Either ``value`` (``"max"``: a limit set to none) or ``absent``: the reason in words."""

    value: int | float | str | list[int] | UnsetType = UNSET
    absent: str | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    source: str
    """The file, or how it is computed."""


class InterfaceDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One network interface, seen from inside the container, since it was made."""

    name: str
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class Partner(msgspec.Struct, frozen=True):
    """Another container in the same network namespace: its figures are the same ones."""

    id: str
    name: str


class NetworkDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sums are over the interfaces without ``lo``."""

    rx_bytes: Value
    tx_bytes: Value
    interfaces: list[InterfaceDetail]
    interfaces_left_out: int
    """How many more there are: the sums have them."""
    shared_with: list[Partner]


class DeviceDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One block device. null: not counted."""

    device: str
    name: str | None
    stacked: bool
    """dm, md, loop: the device below counts the same, so sums leave this one out."""
    read_bytes: int | None
    write_bytes: int | None
    reads: int | None
    writes: int | None
    discard_bytes: int | None
    discards: int | None


class BlockDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sums leave stacked devices out (the documented endpoints count all, as Docker does)."""

    read_bytes: Value
    write_bytes: Value
    devices: list[DeviceDetail]


class LimitDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One limit: the container's own, and the tightest of its own and its ancestors' with the cgroup that has it."""

    own: Value
    tightest: Value
    tightest_cgroup: str | None


class ContainerDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that is known of one container. Of one that does not run: its identity, and its last words."""

    container: ContainerIdentity
    timestamp: int
    cgroup: str | None
    started: Value | None = None
    cpu: dict[str, Value] = {}
    memory: dict[str, Value] = {}
    memory_stat: dict[str, Value] = {}
    memory_events: dict[str, Value] = {}
    pids: dict[str, Value] = {}
    pressure: dict[str, Value] = {}
    network: NetworkDetail | None = None
    block: BlockDetail | None = None
    limits: dict[str, LimitDetail] = {}
    log: dict[str, Value] = {}
    """The file that its output is logged to, and those that it was rotated into: their size, not their content."""
    last_words: FollowExit | None = None
    """The last figures of its last end, if a client followed and it was in the last ten minutes."""
