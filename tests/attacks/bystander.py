"""A client that keeps asking while somebody else attacks, and how much memory the agent has meanwhile."""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType

from attacks.arena import Arena

_PAUSE_SECONDS = 0.1


class Bystander:
    """Asks for one container's figures ten times a second on a connection that it had before the attack."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._connection = arena.client("127.0.0.99")
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
            self._connection.request(
                "GET",
                f"/api/containers/{self._arena.good}/stats",
                headers={"Authorization": f"Bearer {self._arena.secret}"},
            )
            answer = self._connection.getresponse()
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
