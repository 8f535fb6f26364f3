"""Server-Sent Events (WHATWG HTML, 9.2): one event, one run of bytes, to be written with one write.

Real front ends lose an event whose lines arrive in different chunks, and want LF and one space after the colon.
"""

from __future__ import annotations

KEEPALIVE = b": keepalive\n\n"
DONE = b"event: done\ndata: {}\n\n"


def event(name: bytes, data: bytes, event_id: bytes = b"") -> bytes:
    """One event; ``data`` is JSON and so has no line break of its own."""
    if event_id:
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, event_id, data)
    return b"event: " + name + b"\ndata: " + data + b"\n\n"


PIECE_BYTES = 1 << 15
"""Bytes. A long run of events is made and written in pieces of about this length, each of whole events."""
