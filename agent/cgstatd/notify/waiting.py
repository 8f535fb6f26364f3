"""Notifications on their way: a bounded queue, and what became of each."""

from __future__ import annotations

from collections import Counter, deque

from ..outputs.notification_json import Notification

MOST = 500
"""Notifications that wait, some 0.7 kB each; beyond it the owner with the most loses the oldest."""
MOST_SECONDS = 3600.0
"""What could not be delivered for so long is lost."""
AT_ONCE = 50
"""In one request."""
DELIVERED, DROPPED, REFUSED, EXPIRED, UNKNOWN = "delivered", "dropped", "refused", "expired", "unknown"
"""Outcomes: the server took it; no room, or notify_url was taken away; the server does not want it; no answer for an
hour; an end that is not told, for its code is not known."""
LOST = (DROPPED, REFUSED, EXPIRED)

Waited = tuple[float, Notification]
"""A notification, and since when (monotonic seconds) it waits."""


class Waiting:
    """Used in the event loop."""

    def __init__(self) -> None:
        self._queue: deque[Waited] = deque()
        self._of: Counter[int] = Counter()
        """How many of the queue each owner has."""
        self._under_way: list[Waited] = []
        self.outcomes: Counter[str] = Counter({each: 0 for each in (DELIVERED, *LOST, UNKNOWN)})

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def lost(self) -> int:
        """How many have been lost."""
        return sum(self.outcomes[each] for each in LOST)

    def put(self, found: Notification, now: float) -> None:
        """One more."""
        self._queue.append((now, found))
        self._of[found.owner_uid] += 1
        self._bound()

    def before(self, those: list[Waited]) -> None:
        """More, which have waited for longer."""
        self._queue.extendleft(reversed(those))
        self._of.update(each.owner_uid for _, each in those)
        self._bound()

    def take(self, now: float) -> list[Waited]:
        """The oldest, out of the queue; what has waited for too long is lost."""
        while self._queue and now - self._queue[0][0] > MOST_SECONDS:
            self.outcomes[EXPIRED] += self._pop(0)[1].count
        self._under_way = [self._pop(0) for _ in range(min(AT_ONCE, len(self._queue)))]
        return self._under_way

    def again(self, those: list[Waited]) -> None:
        """They were not delivered: they are the oldest again."""
        self._under_way = []
        self.before(those)

    def done(self, those: list[Waited], outcome: str) -> None:
        """What became of those that were taken."""
        self._under_way = []
        self.outcomes[outcome] += sum(each.count for _, each in those)

    def all(self) -> list[Waited]:
        """Those that are not done with, the oldest first."""
        return [*self._under_way, *self._queue]

    def clear(self) -> None:
        """All that wait are lost."""
        self.done(list(self._queue), DROPPED)
        self._queue.clear()
        self._of.clear()

    def _bound(self) -> None:
        while len(self._queue) > MOST:
            most, _ = self._of.most_common(1)[0]
            oldest = next(at for at, (_, each) in enumerate(self._queue) if each.owner_uid == most)
            self.outcomes[DROPPED] += self._pop(oldest)[1].count

    def _pop(self, at: int) -> Waited:
        found = self._queue[at]
        del self._queue[at]
        owner = found[1].owner_uid
        self._of[owner] -= 1
        if not self._of[owner]:
            del self._of[owner]
        return found
