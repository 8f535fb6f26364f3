"""Who hears of starts, ends and kills: what is known of lives, the clients, and others within the agent."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...sampling.round import Changes
from ..lives import Lives
from .event_sender import EventSender
from .pause import Standing
from .returning_clients import ReturningClients

Listener = Callable[[Changes], None]


class ChangeListeners:
    """Used in the event loop."""

    def __init__(self, lives: Lives, sender: EventSender, returning: ReturningClients) -> None:
        self._lives = lives
        self._sender = sender
        self._returning = returning
        self.asking: list[Listener] = []
        """Those for whom looks are made."""
        self.observers: list[Listener] = []
        """Told of what is noticed anyway, after ``lives``; no look is made for them."""

    def tell(self, changes: list[Changes], resumed: Standing | None) -> None:
        """What a look has found. ``resumed``: the lives that there are at the end of a pause."""
        pause = self._returning.of_the_pause(resumed, time.time_ns() // 1_000_000)
        if pause is not None:
            self._tell_of_the_pause(pause, changes)
            return
        for each in changes:
            self._lives.hear(each)
            self._sender.changes(each)
            self._tell_observers(each)
            for listener in self.asking:
                listener(each)

    def _tell_of_the_pause(self, pause: list[tuple[int, Changes]], changes: list[Changes]) -> None:
        """``changes``: kills of the time before this look."""
        for when_ms, each in pause:
            if not self._lives.complete:
                self._lives.hear(each)
            self._sender.changes(each, when_ms, returning=True)
        for each in changes:
            self._sender.changes(each, returning=True)
            self._tell_observers(each)

    def unattended(self, found: Changes) -> None:
        """What was found while no client listened."""
        self._lives.hear(found)
        self._sender.remember(found)
        self._tell_observers(found)

    def _tell_observers(self, found: Changes) -> None:
        for each in self.observers:
            each(found)
