"""/proc/<pid>/net/dev: the interfaces of a process' network namespace.

Sample (Documentation/filesystems/proc.rst)::

    Inter-|   Receive                                                |  Transmit
     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
        lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
      eth0:    1158      13    0    0    0     0          0         0      782       9    0    0    0     0       0          0
"""  # noqa: E501  the kernel's own width

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import ParseError


class Interface(NamedTuple):
    """Counters of one interface since it was made, seen from inside the namespace."""

    name: str
    rx_bytes: int
    rx_packets: int
    rx_errs: int
    rx_drop: int
    tx_bytes: int
    tx_packets: int
    tx_errs: int
    tx_drop: int


def _lines(data: bytes) -> list[tuple[bytes, list[bytes]]]:
    """(interface, its 16 numbers) of every well-formed line; raises ParseError where the header is not there."""
    header, _, body = data.partition(b"\n")
    if not header.startswith(b"Inter-|"):
        raise ParseError("not a net/dev file: no 'Inter-|' header", line=1)
    found = []
    for line in body.splitlines()[1:]:
        name, _, numbers = line.rpartition(b":")
        fields = numbers.split()
        if name and len(fields) >= 16 and b"".join(fields).isdigit():
            found.append((name.strip(), fields))
    return found


def parse_net_dev(data: bytes) -> list[Interface]:
    """Every interface, ``lo`` included. Malformed lines are left out. Raises ParseError."""
    return [
        Interface(name.decode("utf-8", "replace"), *(int(f[i]) for i in (0, 1, 2, 3, 8, 9, 10, 11)))
        for name, f in _lines(data)
    ]


def parse_traffic(data: bytes) -> tuple[int, int]:
    """(received, transmitted) bytes over all interfaces but ``lo``. Raises ParseError."""
    received = transmitted = 0
    for name, fields in _lines(data):
        if name != b"lo":
            received += int(fields[0])
            transmitted += int(fields[8])
    return received, transmitted
