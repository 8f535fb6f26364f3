"""Who hears of starts, ends and kills: what is known of lives, the clients, and others within the agent.

There is one source of these (:class:`.round_work.RoundWork`), with clients and without. Each change is told once and in
order to all who hear: the history, the webhook and the Engine API's events are observers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...sampling.round import Changes
from ..lives import Lives
from .event_sender import EventSender

Listener = Callable[[Changes], None]


class ChangeListeners:
    """Used in the event loop."""

    def __init__(self, lives: Lives, sender: EventSender, observers: Iterable[Listener] = ()) -> None:
        self._lives = lives
        self._sender = sender
        self.asking: list[Listener] = []
        """Those for whom looks are made."""
        self.observers: list[Listener] = list(observers)
        """Told of what is noticed anyway, after ``lives``; no look is made for them."""

    def tell(self, several: Iterable[Changes], *, returning: bool = False) -> None:
        """What looks have found. ``returning``: since the last client left; new ones are not told."""
        for each in several:
            self._lives.hear(each)
            self._sender.changes(each, returning=returning)
            for listener in (*self.observers, *self.asking):
                listener(each)
