"""What a route demands of its clients. The table of routes (web/routes/table.py) is made of these, as is OpenAPI."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One path and method."""

    path: str
    """As OpenAPI writes it: ``/api/containers/{id}/stats``."""
    method: str = "GET"
    permission: str = ""
    """What a token must hold, for the agent's own environment. Empty: the answer holds nothing of the host, any valid
    token will do, and ``env`` means nothing there."""
    open: bool = False
    """Answered without credentials too."""
    brief: bool = False
    """Without credentials an open route answers with its status alone."""
    stream: bool = False
    """Stays open: it is counted, and ends when it would no longer be opened."""

    @property
    def head(self) -> bool:
        """Whether HEAD is answered: where there is an answer to GET that ends."""
        return self.method == "GET" and not self.stream

    @property
    def may_miss(self) -> bool:
        """Whether it may be answered 404: where there is an environment that can be another one."""
        return bool(self.permission)
