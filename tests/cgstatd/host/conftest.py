"""For all tests of this room."""

from __future__ import annotations

from cgroupfs import Clock, Root


class Later(Root):
    """A root whose clocks a test moves on."""

    seconds = 0.0

    def clock(self, path: str = "") -> Clock:
        now = super().clock(path)
        return Clock(now.monotonic_ns + int(self.seconds * 1e9), now.time_ms + int(self.seconds * 1e3))
