"""/proc/<pid>/net/dev: the interfaces of a process' network namespace.

Sample (Documentation/filesystems/proc.rst)::

    Inter-|   Receive                                                |  Transmit
     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
        lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
      eth0:    1158      13    0    0    0     0          0         0      782       9    0    0    0     0       0          0
"""  # noqa: E501  the kernel's own width

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cgroupfs import ParseError
from cgroupfs.formats import is_number

LIMIT = 8 << 20
"""Bytes: some 65,000 interfaces. A namespace with more (or a planted file) has no figures."""
MOST_LISTED = 64
"""Interfaces that are shown one by one; sums are over all of them."""
_WIDE = 16 * 21 + 2
"""Bytes that the numbers of a line take at most; with more, one of them is no number of the kernel's."""
_LONGEST = 4096
"""Bytes of a line: the kernel's have some 150. A planted file may have one line alone."""
_U64 = 1 << 64


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


Data = bytes | Iterable[bytes]
"""The file, or its pieces: the 5 MB of 40,000 interfaces would leave holes in the agent's memory."""


def _split(data: Data) -> Iterator[bytes]:
    """Its lines. Raises ParseError."""
    rest = b""
    for piece in (data,) if isinstance(data, bytes) else data:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST:
            raise ParseError(f"a line of more than {_LONGEST} bytes")
        yield from lines
    yield rest


def _lines(data: Data) -> Iterator[tuple[bytes, list[bytes]]]:
    """(interface, its 16 numbers) of every well-formed line; raises ParseError where the header is not there."""
    lines = _split(data)
    if not next(lines).startswith(b"Inter-|"):
        raise ParseError("not a net/dev file: no 'Inter-|' header", line=1)
    next(lines, None)
    for line in lines:
        name, _, numbers = line.rpartition(b":")
        fields = numbers.split()
        if name and 16 <= len(fields) <= 24 and len(numbers) <= _WIDE and b"".join(fields).isdigit():
            yield name.strip(), fields


class Listed(NamedTuple):
    """Interfaces, the first so many of them one by one."""

    interfaces: tuple[Interface, ...]
    left_out: int
    """How many more there are."""
    rx_bytes: int
    """Of all of them."""
    tx_bytes: int


_WANTED = (0, 1, 2, 3, 8, 9, 10, 11)


def parse_net_dev(data: Data) -> list[Interface]:
    """Every interface, ``lo`` included. Malformed lines are left out. Raises ParseError."""
    return [_interface(name, fields) for name, fields in _lines(data) if _are_numbers(fields)]


def _are_numbers(fields: list[bytes]) -> bool:
    return all(is_number(fields[i]) for i in _WANTED)


def _interface(name: bytes, fields: list[bytes]) -> Interface:
    return Interface(name.decode("utf-8", "replace"), *(int(fields[i]) for i in _WANTED))


def list_net_dev(data: Data, most: int = MOST_LISTED) -> Listed:
    """The interfaces without ``lo``, ``most`` of them one by one. Malformed lines are left out. Raises ParseError."""
    found: list[Interface] = []
    left_out = received = transmitted = 0
    for name, fields in _lines(data):
        if name == b"lo":
            continue
        if len(found) >= most or not _are_numbers(fields):
            left_out += 1
        else:
            found.append(_interface(name, fields))
        rx, tx = int(fields[0]), int(fields[8])
        if rx < _U64 and tx < _U64:
            received += rx
            transmitted += tx
    return Listed(tuple(found), left_out, *_sums(received, transmitted))


def parse_traffic(data: Data) -> tuple[int, int]:
    """(received, transmitted) bytes over all interfaces but ``lo``. Raises ParseError."""
    received = transmitted = 0
    for name, fields in _lines(data):
        if name != b"lo":
            rx, tx = int(fields[0]), int(fields[8])
            if rx < _U64 and tx < _U64:
                received += rx
                transmitted += tx
    return _sums(received, transmitted)


def _sums(received: int, transmitted: int) -> tuple[int, int]:
    """Raises ParseError where no kernel can have counted that."""
    if received >= _U64 or transmitted >= _U64:
        raise ParseError("more bytes than a counter holds")
    return received, transmitted
