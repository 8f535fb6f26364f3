"""How clients of the Engine API work out a container's memory from ``memory_stats``: one function each.

Unsigned where the client is: a cache above the usage gives a huge figure there, as it would on a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

_U64 = 1 << 64


class Memory(TypedDict):
    """What of ``memory_stats`` they look at: bytes, and counters by name."""

    usage: int
    stats: Mapping[str, int]


def docker_cli(memory: Memory) -> int:
    """docker/cli, cli/command/container/stats_helpers.go, calculateMemUsageUnixNoCache."""
    usage, stat = memory["usage"], memory["stats"]
    if (cache := stat.get("total_inactive_file")) is not None and cache < usage:
        return usage - cache
    return usage - cache if (cache := stat.get("inactive_file", 0)) < usage else usage


def beszel(memory: Memory) -> int:
    """henrygd/beszel, agent/docker.go, calculateMemoryUsage."""
    stat = memory["stats"]
    return (memory["usage"] - (stat.get("inactive_file") or stat.get("cache", 0))) % _U64


def glances(memory: Memory) -> int:
    """nicolargo/glances 4, plugins/containers/engines/docker.py (`usage - inactive_file` is what it shows)."""
    return memory["usage"] - (memory["stats"].get("inactive_file") or 0)


def glances_3(memory: Memory) -> int:
    """nicolargo/glances 3.4 and 4.0, the same file: `usage - cache`."""
    return memory["usage"] - (memory["stats"].get("cache") or 0)


def glances_rss(memory: Memory) -> int | None:
    """The same: `rss`, else `total_rss`."""
    return memory["stats"].get("rss") or memory["stats"].get("total_rss")


def portainer(memory: Memory) -> int:
    """portainer/portainer, app/docker/models/containerStats.ts."""
    return memory["usage"] - memory["stats"].get("cache", 0)


def portainer_cache(memory: Memory) -> int:
    """The same, its second curve."""
    return memory["stats"].get("cache", 0)


def ctop(memory: Memory) -> int:
    """bcicen/ctop, connector/collector/docker.go, ReadMem."""
    return memory["usage"] - memory["stats"].get("cache", 0)


def dozzle(memory: Memory) -> int:
    """amir20/dozzle, internal/docker/calculation.go: the docker CLI's."""
    return docker_cli(memory)


def telegraf(memory: Memory) -> int:
    """influxdata/telegraf, plugins/inputs/docker/stats_helpers.go, CalculateMemUsageUnixNoCache."""
    usage, cache = memory["usage"], memory["stats"].get("cache")
    return usage - cache if cache is not None and cache < usage else docker_cli(memory)


def home_assistant(memory: Memory) -> int:
    """ualex73/monitor_docker, custom_components/monitor_docker/helpers.py."""
    stat = memory["stats"]
    return memory["usage"] - stat.get("total_inactive_file", stat.get("inactive_file", 0))


def home_assistant_supervisor(memory: Memory) -> int:
    """home-assistant/supervisor, supervisor/docker/stats.py."""
    stat = memory["stats"]
    names = ("total_inactive_file", "cache", "inactive_file")
    return memory["usage"] - next(stat[name] for name in names if name in stat)


FORMULAS: tuple[Callable[[Memory], int | None], ...] = (
    docker_cli, beszel, glances, glances_3, glances_rss, portainer, portainer_cache, ctop, dozzle, telegraf,
    home_assistant, home_assistant_supervisor,
)  # fmt: skip

_V1 = """active_anon active_file cache dirty inactive_anon inactive_file mapped_file pgfault pgmajfault pgpgin pgpgout
rss rss_huge unevictable writeback""".split()
_V2 = """active_anon active_file anon anon_thp file file_dirty file_mapped file_writeback inactive_anon inactive_file
kernel_stack pgactivate pgdeactivate pgfault pglazyfree pglazyfreed pgmajfault pgrefill pgscan pgsteal shmem slab
slab_reclaimable slab_unreclaimable sock thp_collapse_alloc thp_fault_alloc unevictable workingset_activate
workingset_nodereclaim workingset_refault""".split()


def dockerd(memory_stat: str) -> dict[str, int]:
    """What dockerd (moby, daemon/stats_unix.go, statsV1 and statsV2) gives of a memory.stat: these keys, 0 where the
    kernel has none of them."""
    found = {key: int(value) for key, value in (line.split() for line in memory_stat.splitlines())}
    if "total_cache" not in found:
        return {key: found.get(key, 0) for key in _V2}
    limits = ["hierarchical_memory_limit", "hierarchical_memsw_limit"]
    return {key: found.get(key, 0) for key in (*_V1, *(f"total_{each}" for each in _V1), *limits)}
