"""The labels of containers' series. Their values are input: printable, bounded in length and number, escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..basics.text import printable
from ..host.identity import Identity
from ..sampling.exported_metrics import ContainerMetrics
from .metric_lines import escaped

MAX_LABELS = 16
MAX_VALUE = 128
_NAME = re.compile(r"[^a-zA-Z0-9_]")


def label_names(keys: Iterable[str]) -> dict[str, str]:
    """Container label -> metric label; of those that become the same the first; bounded."""
    found: dict[str, str] = {}
    for key in list(keys)[:MAX_LABELS]:
        name = "container_label_" + _NAME.sub("_", key)
        if name not in found.values():
            found[key] = name
    return found


class WrittenLabels:
    """Writes the labels of each container once, as long as they stay what they are. Any thread may use it."""

    def __init__(self) -> None:
        self._latest: tuple[dict[str, str], dict[str, tuple[Identity, str]]] = {}, {}
        """The container labels that were chosen, and what was written of each cgroup's path."""

    def of(self, containers: Sequence[ContainerMetrics], names: Sequence[str]) -> list[str]:
        """``names``: of container labels that become metric labels."""
        chosen = label_names(names)
        before = self._latest[1] if self._latest[0] == chosen else {}
        written: dict[str, tuple[Identity, str]] = {}
        found = []
        for each in containers:
            known = before.get(each.path)
            if known is None or known[0] is not each.identity:
                known = each.identity, _labels(each, chosen)
            written[each.path] = known
            found.append(known[1])
        self._latest = chosen, written
        return found


def _labels(each: ContainerMetrics, chosen: dict[str, str]) -> str:
    identity, metadata = each.identity, each.identity.metadata
    found = {
        "id": printable(each.path),
        "name": identity.name,
        "image": printable(metadata.image) if metadata and metadata.image else "",
    }
    if metadata is not None and metadata.labels:
        for key, name in chosen.items():
            value = metadata.labels.get(key)
            if value is not None:
                found[name] = printable(value, MAX_VALUE)
    return ",".join([f'{key}="{escaped(value)}"' for key, value in found.items()])
