"""systemd services, shown beside the containers where the configuration asks for it: ``system.slice/<unit>.service``.

No state is read: the unit's name is the id and the name.
"""

from __future__ import annotations

from .base import Match, Skip
from .state_values import is_file_name

RUNTIME = "systemd"


def match(parent: str, name: str) -> Match | Skip | None:
    """A service in system.slice or in a slice below it (``system-getty.slice/getty@tty1.service``)."""
    above = parent.strip("/").split("/")
    if not name.endswith(".service") or name == ".service" or not is_file_name(name):
        return None
    in_slices = above[0] == "system.slice" and all(part.endswith(".slice") for part in above)
    return Match(RUNTIME, name) if in_slices else None
