"""Whether a cgroup is frozen (a paused container): v2 ``cgroup.events`` (``frozen 1``, since 5.2), v1 ``freezer.state``
(THAWED, FREEZING, FROZEN; cgroup-v1/freezer-subsystem.rst)."""

from __future__ import annotations

from ..errors import ParseError
from ..formats import find_key
from ..hierarchy import Version

FREEZING = b"FREEZING\n"
"""On its way to FROZEN, which nobody will tell."""


def state_file(version: Version) -> str:
    """The file that tells."""
    return "freezer.state" if version is Version.V1 else "cgroup.events"


def parse_frozen(version: Version, data: bytes) -> bool:
    """True when frozen. Raises ParseError for anything undocumented."""
    if version is Version.V2:
        frozen = find_key(data, b"frozen")
        if frozen is None:
            raise ParseError("no key frozen")
        return frozen != 0
    state = data.strip()
    if state not in (b"THAWED", b"FREEZING", b"FROZEN"):
        raise ParseError(f"not a freezer state: {state[:40]!r}")
    return state == b"FROZEN"
