"""Whether a cgroup is frozen (a paused container): v2 ``cgroup.events`` (``frozen 1``, since 5.2), v1 ``freezer.state``
(THAWED, FREEZING, FROZEN; cgroup-v1/freezer-subsystem.rst)."""

from __future__ import annotations

from ..errors import ParseError
from ..fields import Field, file
from ..formats import find_key

FREEZING = b"FREEZING\n"
"""On its way to FROZEN; the kernel does not tell when it gets there."""


def frozen_v1(data: bytes) -> bool:
    """True when frozen. Raises ParseError for anything undocumented."""
    state = data.strip()
    if state not in (b"THAWED", b"FREEZING", b"FROZEN"):
        raise ParseError(f"not a freezer state: {state[:40]!r}")
    return state == b"FROZEN"


def frozen_v2(data: bytes) -> bool:
    """True when frozen. Raises ParseError where that is not said."""
    frozen = find_key(data, b"frozen")
    if frozen is None:
        raise ParseError("no key frozen")
    return frozen != 0


FIELDS: tuple[Field, ...] = (
    Field("freezer.frozen", "", "freezer", file("freezer.state", frozen_v1), file("cgroup.events", frozen_v2)),
)
