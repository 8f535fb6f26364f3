"""/proc/meminfo: the host's memory.

Sample::

    MemTotal:       24361192 kB
    MemFree:        22671232 kB
    Active(anon):       2088 kB
    HugePages_Total:       0

The unit is always KiB where there is one, whatever the file says (proc.rst); the HugePages_ lines are counts of pages.
psutil would do it too, but its /proc path is one global.
"""

from __future__ import annotations

from cgroupfs import ParseError, Root
from cgroupfs.formats import is_kib, is_number

PATH = "/proc/meminfo"


def parse_mem_total(data: bytes) -> int:
    """MemTotal in bytes. Raises ParseError."""
    for line in data.splitlines():
        match line.split():
            case [b"MemTotal:", value, *_] if is_kib(value):
                return int(value) * 1024
    raise ParseError("no line 'MemTotal: <number> kB'")


def mem_total_bytes(root: Root) -> int:
    """MemTotal in bytes. Raises ParseError (with the path), OSError."""
    try:
        return parse_mem_total(root.read(PATH))
    except ParseError as error:
        raise ParseError(error.what, root.join(PATH)) from None


def parse_meminfo(data: bytes) -> dict[str, int]:
    """Everything in it, in bytes. Raises ParseError."""
    found = {}
    for line in data.splitlines():
        match line.split():
            case [key, value, b"kB"] if is_kib(value):
                found[key.decode("ascii", "replace").rstrip(":")] = int(value) * 1024
    if "MemTotal" not in found:
        raise ParseError("no line 'MemTotal: <number> kB'")
    return found


def parse_page_counts(data: bytes) -> dict[str, int]:
    """The lines without a unit: counts of huge pages. None of them is no error: a kernel may have no huge pages."""
    found = {}
    for line in data.splitlines():
        match line.split():
            case [key, value] if is_number(value) and key.startswith(b"HugePages_"):
                found[key.decode("ascii", "replace").rstrip(":")] = int(value)
    return found
