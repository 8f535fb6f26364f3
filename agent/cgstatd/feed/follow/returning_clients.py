"""What clients that come back are told: what happened while none followed, or why they begin anew."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from ...sampling.history_model import Life
from ...sampling.round import Changes
from ..history.ring import Ring as Rounds
from .event_sender import EventSender
from .pause import FORGOTTEN, OFF, UNKNOWN, Pause, Standing, Told, missed, pause_since, sentence
from .sent_events import Ring


class ReturningClients:
    """Used in the event loop."""

    def __init__(self, sender: EventSender) -> None:
        self._sender = sender
        self.rounds: Rounds | None = None
        """The history, where there is one."""
        self.left: Standing | None = None
        """What clients knew when the last of them had left."""
        self._pause: Pause | None = None
        """The pause that has ended, and of which clients that came back are still to be told."""
        self._lost = ("", "")
        """The run before, and why clients of it begin anew."""

    @property
    def remembers(self) -> bool:
        """Whether there is something to be told of a pause that begins now."""
        return self.rounds is not None and self._pause is None

    @property
    def told(self) -> Mapping[Life, Told] | None:
        """What clients knew before the pause that ends now; None: there was none."""
        return None if self._pause is None else self._pause.left.lives

    def missed(self, last_event_id: str, number: int | None) -> str | None:
        """What a client that comes back is not told. ``number``: that of the id, where every change since is held."""
        ring = self._sender.ring
        if number is not None:
            seconds = ring.paused_since(number)
            return sentence(seconds, self.rounds) if seconds else None
        if not last_event_id:
            return None
        run, why = self._lost
        of = last_event_id.partition("-")[0]
        return FORGOTTEN if of == ring.run else why if of == run else UNKNOWN

    def begin(self) -> None:
        """Following begins, or goes on."""
        if self.left is not None:
            pause, self.left = pause_since(self.left, self.rounds), None
            if isinstance(pause, Pause):
                self._pause = pause
                self._sender.ring.paused(pause.seconds)
            else:
                self._begin_anew(pause)
        if self._pause is None:
            self._sender.ring = Ring(secrets.token_hex(4))

    def end(self) -> None:
        """Following has ended."""
        self._pause = None
        if self.left is None:
            self._begin_anew(OFF if self.rounds is None else UNKNOWN)
        else:
            self._sender.pause()

    def _begin_anew(self, why: str) -> None:
        self._lost = self._sender.ring.run, why
        self._sender.forget()

    def of_the_pause(self, resumed: Standing | None, time_ms: int) -> list[tuple[int, Changes]] | None:
        """(milliseconds since the epoch, what happened) in the pause that has ended, once; None: there is none to tell
        of, or not yet. ``resumed``: the lives that there are at its end; ``time_ms``: now."""
        if self._pause is None or resumed is None or self.rounds is None:
            return None
        pause, self._pause = self._pause, None
        return missed(pause, resumed, self.rounds, time_ms)
