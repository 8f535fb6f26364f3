"""How a container ended, and what is known of the lives of its workload: records, no I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..host.runtimes.base import Metadata, State

COMPLETED, ERROR, OOM_KILLED = "Completed", "Error", "OOMKilled"
"""Why a container ended, in the words of Kubernetes and kube-state-metrics."""
_RUN = (State.RUNNING, State.PAUSED)
_BIRTH_SECONDS = 0.5
"""For so long a container may have had its cgroup before its engine takes the time of its start."""
UNSEEN = "its runtime's state does not say how it ended, and the agent did not see it end"


class Terminated(NamedTuple):
    """How a container ended."""

    id: str
    exit_code: int | None
    absent: str | None = None
    """Why there is no exit code."""
    signal: int | None = None
    """What ended its first process, by the kernel's word; None: it exited by itself, or that is not known."""
    signal_absent: str | None = None
    """Why that is not known, where the exit code is."""
    oom_killed: bool | None = None
    started_seconds: float | None = None
    finished_seconds: float | None = None
    """Unix time; as the agent noticed it where the runtime does not say."""

    @property
    def reason(self) -> str | None:
        """None: not known."""
        return reason_of(self.exit_code, self.oom_killed)


class Lived(NamedTuple):
    """What is known of a container's workload. None: it is not watched."""

    restarts: int | None = None
    flapping: bool | None = None
    last: Terminated | None = None
    """The latest end: of this container, or of one before it in its workload."""


NOTHING = Lived()


def reason_of(exit_code: int | None, oom_killed: bool | None) -> str | None:
    """Why a container ended, in Kubernetes' words; None: not known."""
    if exit_code == 0:
        return COMPLETED
    if oom_killed:
        return OOM_KILLED
    return None if exit_code is None else ERROR


def with_end(metadata: Metadata, shown_id: str, last: Terminated | None) -> Metadata:
    """The metadata of a container that does not run, with the end that the agent saw where its runtime keeps none."""
    if last is None or last.id != shown_id or metadata.exit_code is not None or metadata.state is State.CREATED:
        return metadata
    if metadata.state in _RUN and _of_an_earlier_life(last, metadata.started_seconds):
        return metadata
    return replace(
        metadata,
        state=State.EXITED if metadata.state in (*_RUN, State.UNKNOWN) else metadata.state,
        exit_code=last.exit_code,
        oom_killed=last.oom_killed if metadata.oom_killed is None else metadata.oom_killed,
        started_seconds=metadata.started_seconds or last.started_seconds,
        finished_seconds=metadata.finished_seconds or last.finished_seconds,
    )


def _of_an_earlier_life(last: Terminated, started: float | None) -> bool:
    """Whether it ended before the life that its engine says it lives was started, as far as that can be told."""
    if started is None:
        return False
    if last.started_seconds is not None:
        return last.started_seconds < started - _BIRTH_SECONDS
    return last.finished_seconds is not None and last.finished_seconds < started


def last_end(metadata: Metadata | None, shown_id: str, lived: Lived, *, running: bool) -> Terminated | None:
    """The latest end of a container or, while it runs, of the one before it in its workload; None: there was none, as
    far as that is known."""
    last = lived.last
    if running:
        return last
    own = last if last is not None and last.id == shown_id else None
    if metadata is None:
        return own or Terminated(shown_id, None, UNSEEN)
    if metadata.state is State.CREATED:
        return None
    if own is not None and metadata.exit_code in (None, own.exit_code):
        return own
    if metadata.exit_code is None:
        return Terminated(shown_id, None, UNSEEN, finished_seconds=metadata.finished_seconds)
    return recorded_end(metadata, shown_id)


def recorded_end(metadata: Metadata, shown_id: str) -> Terminated:
    """What a runtime's record says of an end."""
    code = metadata.exit_code
    return Terminated(
        shown_id,
        code,
        signal_absent=None if code is None else ambiguous(code),
        oom_killed=metadata.oom_killed,
        started_seconds=metadata.started_seconds,
        finished_seconds=metadata.finished_seconds,
    )


def ambiguous(exit_code: int) -> str | None:
    """Why a runtime's code alone does not tell the signal; None: no signal ended it.

    A runtime writes 128 + the signal. A program may exit with these codes, too.
    """
    if exit_code <= 128:
        return None
    return f"{exit_code} is the code of an exit and of a signal, and its runtime does not say which: Linux 6.15 does"
