"""To whom the CPU time of work is charged that is done in another thread than the one which accounts for it.

A task that is made for a request has the request's context, and with it its client.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar


def _nobody(seconds: float) -> None:
    """Work of the agent's own."""


charge: ContextVar[Callable[[float], None]] = ContextVar("charge", default=_nobody)
"""Called in the event loop with seconds of CPU time."""
