"""A client that keeps asking while somebody else attacks, and how much memory the agent has meanwhile."""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType

from attacks.arena import IDLE_SECONDS, Arena

_PAUSE_SECONDS = 0.1


class Bystander:
    """Asks for one container's figures ten times a second on a connection that it had before the attack."""

    def __init__(self, arena: Arena, idle_seconds: float = IDLE_SECONDS) -> None:
        """``idle_seconds``: after which its connection may be ended."""
        self._arena, self._idle_seconds = arena, idle_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._connection = arena.client("127.0.0.99")
        self._asked_at = time.monotonic()
        self.answered = 0
        self.slowest = 0.0
        self.failures: list[str] = []
        self.most_memory = 0.0

    def __enter__(self) -> Bystander:
        self._ask()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(30)
        if error is None:
            self._ask()
        self._connection.close()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            self._ask()

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            answer = self._answer()
            body = answer.read()
            if answer.status == 200:
                self.answered += 1
            else:
                self.failures.append(f"{answer.status} {body[:100]!r}")
        except (OSError, http.client.HTTPException) as failed:
            self.failures.append(repr(failed))
            self._connection.close()
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.most_memory = max(self.most_memory, self._arena.memory())

    def _answer(self) -> http.client.HTTPResponse:
        """Where this client itself got no processor for longer than a connection may be idle, on a new one.

        When the agent had answered is not known here: this client may have had no processor to read the answer. It was
        not before it was asked.
        """
        asked_before = self._asked_at
        try:
            try:
                self._request()
            finally:
                self._asked_at = time.monotonic()
            return self._connection.getresponse()
        except ConnectionError:
            if self._asked_at - asked_before < self._idle_seconds:
                raise
        self._connection.close()
        self._request()
        return self._connection.getresponse()

    def _request(self) -> None:
        path = f"/api/containers/{self._arena.good}/stats"
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {self._arena.secret}"})
