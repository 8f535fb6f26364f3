"""From what a look found to the clients: each event is encoded once, and held for clients that come back."""

from __future__ import annotations

import asyncio
import secrets
import time

import msgspec

from ...host.runtimes.base import State
from ...outputs import follow_events as out
from ...outputs import sse
from ...outputs.follow_types import FollowFailed, FollowRound, FollowStat
from ...outputs.identity_json import container_identity
from ...outputs.pressure_types import FollowPressure
from ...outputs.shown_labels import encode_with_labels
from ...sampling.model import ContainerStats
from ...sampling.round import Changes, Killed, Round
from ..answer_bodies import Bodies, Body
from ..lives import Lives
from .interval_grid import GRID_SECONDS
from .last_words import LastWords
from .sent_events import Ring
from .subscription import Events, Subscription

_LATEST_MORE = 500
"""Figures of containers that are gone, whose ends may still be told."""
encode = msgspec.json.Encoder().encode
LATEST_BYTES = 6 << 20
"""Bytes of the last rounds of all intervals, kept for clients that come."""
_AT_ONCE = 100
"""Containers whose events are encoded before other work is done: some 2 ms."""


class Group:
    """The clients of one interval."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.clients: set[Subscription] = set()
        self.before: dict[str, ContainerStats] = {}
        """The figures of the round before, by id."""
        self.rounds = 0
        self.overruns = 0
        self.latest: tuple[float, int, Body] | None = None
        """The last round: when (monotonic), its number, its bytes; None where they were too many to keep."""
        self.size = 0
        """Bytes of the last round."""
        self.urgent = True
        self.heard = time.monotonic()
        """When it had a client last."""


class EventSender:
    """Used in the event loop."""

    def __init__(self, last_words: LastWords, lives: Lives, bodies: Bodies) -> None:
        self._bodies = bodies
        self.groups: dict[int, Group] = {}
        self.ring = Ring(secrets.token_hex(4))
        self._followed = False
        """Whether there ever was a client."""
        self._last_words = last_words
        self._lives = lives
        self._latest: dict[str, FollowStat] = {}
        """The latest ``stat`` event of each container, whatever the interval."""
        self._pressure: tuple[float, FollowPressure] | None = None
        """The latest, and when (monotonic) it is out of date."""

    def begin(self) -> None:
        """Clients follow: from now on changes are kept for those that come back."""
        self._followed = True
        self.ring.go_on()

    def pause(self) -> None:
        """The last client has left."""
        self.ring.pause()
        self._latest = {}

    def failed(self, group: Group, error: str) -> None:
        """There is no round this time."""
        event = FollowFailed(error=error, timestamp=time.time_ns() // 1_000_000)
        self._send(group, self._event(group.steps, b"failed", event))

    async def round(self, group: Group, found: Round, seconds: float, effective_interval: float) -> None:
        """Encode a round and send it; other work is done meanwhile. Without room for its bytes there is no round."""
        if not self._bodies.admit(group.size):
            group.overruns += 1
            return
        group.rounds += 1
        ring, sent, pieces, size = self.ring, list[tuple[int, bytes]](), list[bytes](), 0
        piece: list[bytes] = []
        for number, look in enumerate(found.looks, 1):
            key = look.stats.identity.id
            event = out.follow_stat(look, group.before.get(key), found.mem_total_bytes, found.cores)
            self._latest[key] = event
            data = sse.event(b"stat", encode(event), ring.next_id())
            sent.append((ring.number, data))
            piece.append(data)
            size += len(data)
            if size > sse.PIECE_BYTES:
                pieces.append(b"".join(piece))
                piece, size = [], 0
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        if len(self._latest) > 2 * len(found.looks) + _LATEST_MORE:  # ends that no client heard of
            here = {*found.late, *(look.stats.identity.id for look in found.looks)}
            self._latest = {key: event for key, event in self._latest.items() if key in here}
        late = {key: group.before[key] for key in found.late if key in group.before}
        group.before = late | {look.stats.identity.id: look.stats for look in found.looks}
        end = FollowRound(
            round=group.rounds,
            interval=group.steps * GRID_SECONDS,
            effective_interval=effective_interval,
            containers=len(found.looks),
            seconds=seconds,
            overruns=group.overruns,
            late=found.late,
            timestamp=time.time_ns() // 1_000_000,
        )
        data = sse.event(b"round", encode(end), ring.next_id())
        sent.append((ring.number, data))
        for number, each in sent:  # all at once: a client that comes back meanwhile gets the round as a whole
            ring.add(group.steps, each, number)
        body = self._bodies.hold(*pieces, b"".join((*piece, data)))
        group.latest, group.size = (time.monotonic(), ring.number, body), body.size
        self._keep_few()
        self._send(group, body)

    def _keep_few(self) -> None:
        """Drop the oldest rounds that are kept for clients to come, beyond a number of bytes."""
        kept = sorted((each for each in self.groups.values() if each.latest), key=lambda g: g.latest[0])  # type: ignore[index]
        total = sum(group.size for group in kept)
        for group in kept[:-1]:
            if total <= LATEST_BYTES:
                break
            total -= group.size
            group.latest = None

    def _send(self, group: Group, data: Events) -> None:
        for client in group.clients:
            client.round(self.ring.number, data)

    def _event(self, steps: int, name: bytes, what: msgspec.Struct) -> bytes:
        data = sse.event(name, encode_with_labels(what), self.ring.next_id())
        self.ring.add(steps, data)
        return data

    def _change(self, name: bytes, what: msgspec.Struct, returning: bool) -> None:
        if not self._followed:
            return
        data = self._event(0, name, what)
        for group in self.groups.values():
            for client in group.clients:
                if client.returning or not returning:
                    client.change(self.ring.number, data)

    def changes(self, found: Changes, *, returning: bool = False) -> None:
        """Tell every client what happened, whatever its interval; remember the last words of what ended.

        ``returning``: clients that go on behind an event that they had before, alone.
        """
        now = time.time_ns() // 1_000_000
        for ended in found.ended:
            if ended.killed is not None:
                self._killed(ended.killed, now, returning)
            event = out.follow_exit(ended, self._latest.pop(ended.identity.id, None), now)
            self._last_words.add(event, ended)
            self._change(b"exit", event, returning)
        for identity in found.started if self._followed else ():
            lived = self._lives.of(identity)
            self._change(b"start", container_identity(identity, State.RUNNING, None, lived), returning)
        for killed in found.killed:
            self._killed(killed, now, returning)

    def pressure(self, event: FollowPressure) -> None:
        """Tell every client. It is about now: clients that come back are not told what was."""
        self._pressure = time.monotonic() + event.valid_seconds, event
        data = sse.event(b"pressure", encode(event), self.ring.next_id())
        for group in self.groups.values():
            for client in group.clients:
                client.change(self.ring.number, data)

    def pressure_now(self) -> list[bytes]:
        """The latest, for a client that comes; empty where it is out of date."""
        if self._pressure is None or time.monotonic() >= self._pressure[0]:
            return []
        return [sse.event(b"pressure", encode(self._pressure[1]))]

    def _killed(self, killed: Killed, now_ms: int, returning: bool) -> None:
        self._change(b"oom", out.follow_oom(killed, now_ms), returning)
