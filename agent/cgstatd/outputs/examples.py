"""Examples for the OpenAPI document, as the encoders would write them."""

from __future__ import annotations

from typing import Any

ID = "3b60a6f5772c" + "0" * 52
# fmt: off
FIGURES: dict[str, Any] = {
    "cpuPercent": 50.01, "memoryUsage": 348160, "memoryRaw": 348160, "memoryCache": 0, "memoryLimit": 25276514304,
    "memoryPercent": 0.0, "networkRx": 1170, "networkTx": 0, "blockRead": 0, "blockWrite": 0,
}
ONE = FIGURES | {"timestamp": 1795614872695}
STREAMED = FIGURES | {"id": ID, "name": "burn"}
IDENTITY: dict[str, Any] = {
    "id": ID, "name": "burn", "workload": "docker:burn", "runtime": "docker", "state": "running",
    "image": "lab/busybox:1", "imageId": "sha256:83445f8ebff7", "labels": {"app": "burn"}, "project": None,
    "pod": None, "infra": False, "ownerUid": 0, "networkMode": "bridge", "created": 1795613188103,
    "started": 1795613188400, "finished": None, "uptime": 86400, "restarts": 1, "flapping": False,
    "lastTerminated": {
        "id": ID, "exitCode": 137, "exitCodeAbsent": None, "signal": 9, "signalAbsent": None, "oomKilled": True,
        "reason": "OOMKilled", "started": 1795613110204, "finished": 1795613188201,
    },
    "health": {"status": "healthy", "absent": None, "failingStreak": 0, "checked": 1795699580412},
    "exitCode": None, "oomKilled": False, "pids": 1,
}
ENVIRONMENT = {
    "id": 1, "name": "web-01", "connectionType": "socket", "host": None, "icon": "server", "isActive": True,
    "labels": [], "publicIp": None, "hasTlsKey": False, "hasHawserToken": False,
}
PROCESSES: dict[str, Any] = {
    "id": ID, "name": "burn", "timestamp": 1795614872695, "count": 2, "tasks": 2, "looked": 2, "incomplete": None,
    "zombies": 0, "uninterruptible": 0, "windowSeconds": 1.002, "sort": "cpu",
    "processes": [
        {"pid": 4711, "pidInside": 7, "name": "burn", "state": "running", "cpuPercent": 49.9, "memory": 401408,
         "threads": 1, "ageSeconds": 83.41},
    ],
}
