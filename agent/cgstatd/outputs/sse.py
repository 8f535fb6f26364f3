"""Server-Sent Events (WHATWG HTML, 9.2): one event, one run of bytes, to be written with one write.

Real front ends lose an event whose lines arrive in different chunks, and want LF and one space after the colon.
"""

from __future__ import annotations

from collections.abc import Iterator

KEEPALIVE = b": keepalive\n\n"
DONE = b"event: done\ndata: {}\n\n"


def event(name: bytes, data: bytes, event_id: bytes = b"") -> bytes:
    """One event; ``data`` is JSON and so has no line break of its own."""
    if event_id:
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, event_id, data)
    return b"event: " + name + b"\ndata: " + data + b"\n\n"


PIECE_BYTES = 1 << 15


def whole_events(events: bytes) -> Iterator[bytes]:
    """A long run of events in pieces of about PIECE_BYTES, none of which splits an event.

    Written piece by piece, a client that does not read holds a piece or two in memory rather than a whole round.
    """
    start = 0
    while len(events) - start > PIECE_BYTES:
        end = events.find(b"\n\n", start + PIECE_BYTES - 2) + 2
        if end < 2:
            break
        yield events[start:end]
        start = end
    if start < len(events):
        yield events[start:]
