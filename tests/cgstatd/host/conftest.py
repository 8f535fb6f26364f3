"""For all tests of this room."""

from __future__ import annotations

from cgroupfs import Clock, Root


class Later(Root):
    """A root whose clocks a test moves on."""

    seconds = 0.0
    stopped: Clock | None = None
    """Since when they stand still but for that; None: they go on, too."""

    def clock(self, path: str = "") -> Clock:
        now = self.stopped or super().clock(path)
        return Clock(now.monotonic_ns + int(self.seconds * 1e9), now.time_ms + int(self.seconds * 1e3))
