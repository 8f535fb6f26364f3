"""A front end that reads the stream as the real one does.

It reads up to 64 KiB at once and drops an event whose ``event:`` line and whole ``data:`` line it does not get from one
read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

READ_BYTES = 65536


@dataclass
class FrontEnd:
    """What the real front end makes of one response, read by read; ``handled``: its stat events."""

    handled: int = 0
    done: bool = False
    body_bytes: int = 0
    _head: bytes | None = b""
    _chunked: bool = False
    _framing: bytes = b""
    _left: int = 0
    _text: bytes = b""
    ended: bool = False
    sizes: list[int] = field(default_factory=list)
    """Of the reads."""

    def read(self, data: bytes) -> None:
        """One read of the socket."""
        self.sizes.append(len(data))
        if self._head is not None:
            head, empty_line, rest = (self._head + data).partition(b"\r\n\r\n")
            if not empty_line:
                self._head = head
                return
            assert head.split()[1] == b"200", head
            self._head, data = None, rest
            self._chunked = b"transfer-encoding: chunked" in head.lower()
        self._lines(self._unframed(data) if self._chunked else data)

    def _unframed(self, data: bytes) -> bytes:
        """What of the body one read held. States: ``_left`` > 2 in a chunk, 2 and 1 its CRLF, 0 a size line."""
        found = []
        while data:
            if self._left > 2:
                part = data[: self._left - 2]
                found.append(part)
                self._left -= len(part)
                data = data[len(part) :]
            elif self._left:
                skipped = min(self._left, len(data))
                self._left -= skipped
                data = data[skipped:]
            else:
                line, newline, data = (self._framing + data).partition(b"\n")
                self._framing = b"" if newline else line
                if newline and line != b"\r":
                    size = int(line, 16)
                    self.ended = size == 0
                    self._left = size + 2
        return b"".join(found)

    def _lines(self, data: bytes) -> None:
        self.body_bytes += len(data)
        *lines, self._text = (self._text + data).split(b"\n")
        kind = b""  # the front end forgets it between two reads
        for line in lines:
            if line.startswith(b"event: "):
                kind = line[7:]
            elif line.startswith(b"data: ") and kind:
                self.handled += kind == b"stat"
                self.done |= kind == b"done"
                kind = b""
