"""Who a container is, as JSON: each field from its own source, and null where nothing is known."""

from __future__ import annotations

from typing import Any

import msgspec

from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Health, Metadata, State
from cgstatd.outputs.identity_json import container_identity
from cgstatd.sampling.lived import Lived, Terminated

ID, BEFORE = "1" * 64, "2" * 64
METADATA = Metadata(
    "docker", ID, "web", image="lab/web:1", image_id="sha256:3",
    labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "front"}, labels_left_out=True,
    created_seconds=1.0015, state=State.RUNNING, network_mode="bridge", pod="pod-1", infra=True, started_seconds=2.5,
    finished_seconds=3.5, restarts=4, exit_code=5, oom_killed=True,
)  # fmt: skip
ENDED = Terminated(
    BEFORE, 137, absent="a", signal=9, signal_absent="s", oom_killed=False, started_seconds=0.25, finished_seconds=0.75
)
HEALTH = Health("unhealthy", absent="h", failing_streak=6, checked_seconds=7.5)


def shown(metadata: Metadata | None, *more: Any, **others: Any) -> dict[str, Any]:
    identity = Identity(ID, "web", "docker", 1000, metadata)
    found = container_identity(identity, State.PAUSED, *more, **others)
    return dict(msgspec.json.decode(msgspec.json.encode(found)))


def test_everything_that_is_known_is_shown_under_its_own_name() -> None:
    assert shown(METADATA, 8, Lived(None, True, ENDED), uptime_seconds=9.9, health=HEALTH) == {
        "id": ID, "name": "web", "workload": "compose:shop/front@1000", "runtime": "docker", "state": "paused",
        "image": "lab/web:1", "imageId": "sha256:3", "labels": METADATA.labels, "labelsLeftOut": True,
        "project": "shop", "pod": "pod-1", "infra": True, "ownerUid": 1000, "networkMode": "bridge",
        "created": 1001, "started": 2500, "finished": 3500, "uptime": 9, "restarts": 4, "flapping": True,
        "lastTerminated": {
            "id": BEFORE, "exitCode": 137, "exitCodeAbsent": "a", "signal": 9, "signalAbsent": "s", "oomKilled": False,
            "reason": "Error", "started": 250, "finished": 750,
        },
        "health": {"status": "unhealthy", "absent": "h", "failingStreak": 6, "checked": 7500},
        "exitCode": 5, "oomKilled": True, "pids": 8,
    }  # fmt: skip


def test_what_is_not_known_is_null_and_labels_are_left_out_only_where_they_are() -> None:
    found = shown(None, None)
    known = {key: found.pop(key) for key in ("id", "name", "runtime", "state", "ownerUid", "labels", "infra")}
    assert known["labels"] == {} and known["infra"] is False
    assert len(found) == 17 and set(found.values()) == {None}


def test_restarts_that_were_seen_go_before_those_that_the_runtime_counts() -> None:
    assert shown(METADATA, None, Lived(restarts=0))["restarts"] == 0


def test_a_clock_that_was_set_back_makes_no_uptime_below_zero() -> None:
    assert [shown(METADATA, None, uptime_seconds=each)["uptime"] for each in (-0.5, 0.5)] == [0, 0]


def test_the_empty_words_of_a_runtime_are_null() -> None:
    empty = Metadata("docker", ID, "web", image="", image_id="", pod="", network_mode="")
    assert {shown(empty, None)[key] for key in ("image", "imageId", "pod", "networkMode")} == {None}
