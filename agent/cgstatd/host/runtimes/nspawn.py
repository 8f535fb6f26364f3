r"""systemd-nspawn: ``systemd-nspawn@<name>.service``, or ``machine-<name>.scope`` below machine.slice.

systemd-machined escapes the scope's name (``machine-web\x2d1.scope``); a unit of the template has it as it is. nspawn
puts its processes into the child ``payload`` on v2.

State: ``/run/systemd/machines/<name>``, there while the machine runs ("private data. Do not parse", says its first
line, but without D-Bus there is no other source)::

    NAME=nsp
    SCOPE=machine-nsp.scope
    SERVICE=systemd-nspawn
    CLASS=container
    REALTIME=1795604289866928
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cgroupfs import Root

from ...basics.text import is_number
from .base import Match, Metadata, Skip, State, Unreadable
from .folder import FolderSource
from .statefile import StateFiles

RUNTIME = "systemd-nspawn"
STATE = "/run/systemd/machines"
PAYLOAD = "payload"
_STATE_LIMIT = 64 << 10
KEYS = frozenset({"NAME", "CLASS", "REALTIME"})
"""All that is of use."""
_VIRTUAL = ("qemu-", "lxc-")
"""libvirt's machines: ``machine-qemu\\x2d1\\x2dname.scope``."""
is_machine_name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}").fullmatch
"""What systemd-machined accepts; the files ``unit:<unit>`` beside the machines' are links to them."""
_escaped = re.compile(r"\\x([0-7][0-9a-f])")


def match(parent: str, name: str) -> Match | Skip | None:
    """The template's unit anywhere, a machine's scope below machine.slice; libvirt's virtual machines are neither."""
    if name.startswith("systemd-nspawn@") and name.endswith(".service"):
        machine = name.removeprefix("systemd-nspawn@").removesuffix(".service")
    elif name.startswith("machine-") and name.endswith(".scope") and "machine.slice" in parent.split("/"):
        machine = name.removeprefix("machine-").removesuffix(".scope")
    else:
        return None
    if len(machine) > 255:
        return None
    machine = _escaped.sub(lambda found: chr(int(found[1], 16)), machine)
    if machine.startswith(_VIRTUAL) or not is_machine_name(machine):
        return None
    return Match(RUNTIME, machine, PAYLOAD)


@dataclass(frozen=True, slots=True)
class _Machine:
    kind: str
    created_seconds: float | None


def _parse(data: bytes) -> _Machine:
    values = dict(line.partition("=")[::2] for line in data.decode().splitlines())
    if "CLASS" not in values:
        raise ValueError("no CLASS")
    started = values.get("REALTIME", "")
    if started and not is_number(started, 19):
        raise ValueError("REALTIME is not a number of microseconds")
    return _Machine(values["CLASS"][:64].strip('"'), int(started) / 1e6 if started else None)


class NspawnSource(FolderSource):
    """The machines that systemd-machined knows. Stopped ones leave no file."""

    runtime = RUNTIME

    def __init__(self, root: Root, state: str = STATE, owner_uid: int = 0, files: StateFiles | None = None) -> None:
        super().__init__(root, state, owner_uid, files)

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of a container by its machine name."""
        if not is_machine_name(container_id):
            return None
        path = f"{self._folder}/{container_id}"
        machine = self._files.read(path, _parse, _STATE_LIMIT)
        if machine is None or isinstance(machine, Unreadable):
            return machine
        if machine.kind != "container":
            return Unreadable("the machine's class is not container", path)
        return Metadata(
            runtime=RUNTIME,
            id=container_id,
            name=container_id,
            created_seconds=machine.created_seconds,
            state=State.RUNNING,
            owner_uid=self.owner_uid,
        )
