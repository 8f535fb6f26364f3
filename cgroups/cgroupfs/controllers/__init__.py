"""The table: every field of every controller, by name. A controller is one module here and one word below."""

from __future__ import annotations

from ..fields import Field
from ..hierarchy import Version
from . import cpu, freezer, io, memory, pids, psi

FIELDS: dict[str, Field] = {
    field.name: field for module in (cpu, memory, io, pids, freezer, psi) for field in module.FIELDS
}


def field_files(*versions: Version) -> dict[str, None]:
    """Every file that a field is read from, in the table's order; without a version: of both."""
    places = [field.place(version) for version in versions or Version for field in FIELDS.values()]
    return dict.fromkeys(name for place in places if place for name in (place.file, *place.others))
