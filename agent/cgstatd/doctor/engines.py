"""Which runtimes were found, and which of their containers have no name, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cgroupfs import Root

from ..host.identity import short
from ..host.runtimes.base import State, Unreadable, is_hex_id
from ..host.runtimes.docker import DATA_ROOT
from ..host.runtimes.storage import STORAGE
from ..sampling.container import Container
from .examination import Examination, Seen, in_container
from .findings import COSTS, NOTE, OK, Finding, Section, listed

_DENIED = "permission denied"
_ROOTLESS = "the service needs the drop-in rootless.conf (docs/operating.md)"
_MADE_UP = "a user has made a cgroup that only looks like a container"
_RIGHTS = {
    False: "run as root, or install the service (cgstatd install), which has CAP_DAC_READ_SEARCH for this",
    True: f"run as root, or as that user; {_ROOTLESS}",
}
"""What to do; by whether the containers are a user's."""
_PRICE = "name, image and labels; they are shown by their short ids"


def section(found: Examination) -> Section:
    """A line for each runtime and owner."""
    groups: dict[tuple[str, int], list[Seen]] = {}
    for seen in found.containers:
        identity = seen.container.identity
        groups.setdefault((identity.runtime, identity.owner_uid), []).append(seen)
    stopped = Counter(found.stopped)
    findings: list[Finding] = []
    for (runtime, uid), running in sorted(groups.items()):
        findings += _runtime(found, runtime, uid, running, stopped.pop(runtime, 0) if not uid else 0)
    findings += [
        Finding(OK, f"{runtime}: none running, {count} stopped") for runtime, count in stopped.items() if count
    ]
    if not findings or (not groups and in_container(found.root)):
        findings.insert(0, _none(found.root))
    return Section("Containers", findings)


def _runtime(found: Examination, runtime: str, uid: int, seen: list[Seen], stopped: int) -> Iterator[Finding]:
    whose = f"{runtime} of uid {uid}" if uid else runtime
    paused = sum(each.stats is not None and each.stats.state is State.PAUSED for each in seen)
    numbers = {"running": len(seen) - paused, "paused": paused, "stopped": stopped}
    counts = f"{whose}: {', '.join(f'{number} {state}' for state, number in numbers.items() if number)}"
    yield from _labels(whose, [each.container for each in seen])
    unnamed = [each.container for each in seen if _is_unnamed(each.container)]
    if not unnamed:
        yield Finding(OK, counts)
        return
    reasons: dict[tuple[str, str], list[str]] = {}
    for container in unnamed:
        reasons.setdefault(_why(found, container, uid), []).append(short(container.identity.id))
    for (reason, todo), ids in reasons.items():
        yield Finding(COSTS, f"{counts}; {len(ids)} without a name ({listed(ids, 2)}): {reason}", _PRICE, todo)


def _labels(whose: str, several: list[Container]) -> Iterator[Finding]:
    known = ((each.identity.id, each.identity.metadata) for each in several)
    ids = [short(key) for key, metadata in known if metadata is not None and metadata.labels_left_out]
    if ids:
        what = f"{whose}: {len(ids)} with more labels than are kept ({listed(ids, 2)})"
        todo = "name those that you need in metric_labels: they are kept in any case"
        yield Finding(NOTE, what, "the labels beyond 256 or 32 KiB", todo)


def _is_unnamed(container: Container) -> bool:
    """Whether the name is the cgroup's own, as LXC's and nspawn's are."""
    return container.identity.metadata is None and is_hex_id(container.ref.match.id) is not None


def _why(found: Examination, container: Container, uid: int) -> tuple[str, str]:
    """Why a container has no name: (reason, what to do)."""
    key, runtime = container.ref.match.id, container.identity.runtime
    denied = False
    for source in found.sampler.names.sources(uid):
        answer = source.get(key)
        if isinstance(answer, Unreadable):
            refused = _DENIED in answer.reason
            if source.runtime == runtime:
                directory = answer.path.partition(f"/{key}")[0]
                if refused:
                    return f"{directory} belongs to its engine, and may not be read", _RIGHTS[uid != 0]
                return f"{directory}: {answer.reason}", "see what is wrong with that file; its engine writes it"
            denied = denied or refused
    if denied:
        return "the state of the engines may not be read", _RIGHTS[uid != 0]
    if uid:
        return "nothing about it in that user's home", f"{_ROOTLESS}; or {_MADE_UP}"
    return "no engine's state on disk knows it", _look_elsewhere(found, runtime)


def _look_elsewhere(found: Examination, runtime: str) -> str:
    option, data = ("--podman-root", STORAGE) if runtime == "podman" else ("--docker-root", f"{DATA_ROOT}/containers")
    elsewhere = f"if its engine keeps its data elsewhere, give {option} DIR"
    if found.live and found.root.path:  # the agent is in a container
        return f"mount what the engine keeps on disk ({data}) below {found.root.path}, read-only; {elsewhere}"
    return f"{elsewhere}; or no engine made it, and its cgroup only looks like a container's"


def _none(root: Root) -> Finding:
    if in_container(root):
        what = "none: this is the inside of a container, which sees itself alone"
        todo = "run it on the host, or with --pid=host, the host's /proc and /sys below /host, and --host-root /host"
        return Finding(COSTS, what, "everything", todo)
    return Finding(NOTE, "none is running", "", "start one and look again: without any, little can be checked")
