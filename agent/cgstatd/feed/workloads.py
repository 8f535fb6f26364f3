"""What /metrics says of workloads: those of which a container runs, is on disk, or has ended within the hour.

Of several containers of one name and workload the one that is most alive counts, then the one that ended last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import NamedTuple

from ..host.runtimes.base import State
from ..host.workload import workload
from ..outputs.workload_families import WorkloadMetrics
from ..sampling.container import Container
from ..sampling.exported_metrics import ContainerMetrics
from ..sampling.lived import last_end
from ..sampling.lookup import Known
from ..sampling.one_container import ended_as, identity_of
from .lives import Gone, View

MOST_STOPPED = 500
"""Workloads that do not run and are told of, some seven series each. The owner with the most gives way first: with what
is not even on disk any more, then with what ended first."""
_AHEAD = (State.RUNNING, State.PAUSED, State.CREATED)
"""What was, is then in the life before."""


class _Stopped(NamedTuple):
    """A workload that does not run. The order is that in which they are kept."""

    on_disk: bool
    when: float
    """Unix time of its end, else of its making."""
    made: WorkloadMetrics


def workloads_of(
    known: Iterable[Known], read: Mapping[Container, ContainerMetrics], view: View
) -> tuple[list[WorkloadMetrics], int]:
    """All of them, and how many there is no room for. ``read``: what the scrape read of containers."""
    alive: dict[tuple[str, str], WorkloadMetrics] = {}
    stopped: dict[tuple[str, str], _Stopped] = {}
    for each in known:
        if isinstance(each.target, Container):
            made = _alive(each.target, read.get(each.target), view)
            if made is not None:
                key = made.name, made.workload
                alive[key] = alive[key].beside(made) if key in alive else made
        elif (found := _on_disk(each, view)) is not None:
            key = found.made.name, found.made.workload
            if key not in stopped or stopped[key].when < found.when:
                stopped[key] = found
    there = {of for _, of in (*alive, *stopped)}
    those = [each for key, each in stopped.items() if key not in alive]
    those += (_gone(each) for each in view.gone() if each.workload not in there)
    kept = _shared_out(those)
    return [*alive.values(), *(each.made for each in kept)], len(those) - len(kept)


def _alive(container: Container, read: ContainerMetrics | None, view: View) -> WorkloadMetrics | None:
    """Of a container that has a cgroup; also where the scrape could not read it, since it is just ending. None: nothing
    but its id is known."""
    identity = container.identity
    of = workload(identity)
    if of is None:
        return None
    lived, kills = view.with_kills(identity)
    if lived.last is None:
        lived = lived._replace(last=container.last_end)
    if read is None:
        paused = identity.metadata is not None and identity.metadata.state is State.PAUSED
        state = State.PAUSED if paused else State.RUNNING
        return WorkloadMetrics(identity.name, of, identity.owner_uid, state, lived, kills=kills)
    if kills is None and read.kills is not None:
        kills = 0
    return WorkloadMetrics(identity.name, of, identity.owner_uid, read.state, lived, read.health, kills)


def _on_disk(each: Known, view: View) -> _Stopped | None:
    lived, kills = view.with_kills(identity_of(each))
    identity, state = ended_as(each, lived)
    of = workload(identity)
    if of is None:
        return None
    last = last_end(identity.metadata, identity.id, lived, running=state in _AHEAD)
    made = WorkloadMetrics(identity.name, of, identity.owner_uid, state, lived._replace(last=last), kills=kills)
    found = identity.metadata
    return _Stopped(True, (found and (found.finished_seconds or found.created_seconds)) or 0.0, made)


def _gone(each: Gone) -> _Stopped:
    last = each.lived.last
    made = WorkloadMetrics(each.name, each.workload, each.owner_uid, State.EXITED, each.lived, kills=each.kills)
    return _Stopped(False, (last and last.finished_seconds) or 0.0, made)


def _shared_out(those: list[_Stopped]) -> list[_Stopped]:
    """As many as there is room for."""
    if len(those) <= MOST_STOPPED:
        return those
    owners: dict[int, list[_Stopped]] = {}
    for each in those:
        owners.setdefault(each.made.owner_uid, []).append(each)
    kept, left = list[_Stopped](), MOST_STOPPED
    for number, several in enumerate(sorted(owners.values(), key=len)):
        several.sort(key=itemgetter(0, 1), reverse=True)
        share = several[: left // (len(owners) - number)]
        kept += share
        left -= len(share)
    return kept
