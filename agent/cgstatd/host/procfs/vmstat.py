"""/proc/vmstat: how hard the host itself looks for memory.

Sample (counts of pages since boot; before 4.8 with the zone behind each key)::

    pgscan_kswapd 18266
    pgscan_direct 512

Both count the host's own shortage alone: where a cgroup's limit makes the kernel look for memory, they stand still
(mm/vmscan.c, cgroup_reclaim; tried on 6.18).
"""

from __future__ import annotations

from cgroupfs.formats import is_number

PATH = "/proc/vmstat"
_KEYS = (b"pgscan_kswapd", b"pgscan_direct")


def parse_scanned_pages(data: bytes) -> int | None:
    """Pages that were looked at to find memory for the host; None: this kernel does not say."""
    lines = [line.split() for line in data.splitlines()]
    known = [int(line[1]) for line in lines if len(line) == 2 and line[0] in _KEYS and is_number(line[1])]
    return sum(known) if known else None
