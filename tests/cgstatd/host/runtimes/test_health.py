"""How a health check goes: Podman's file after each probe, and what Docker's file says until the next probe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cgroupfs import Root
from cgstatd.host.runtimes import Metadata, Unreadable
from cgstatd.host.runtimes.base import Health, HealthCheck
from cgstatd.host.runtimes.docker import DockerSource
from cgstatd.host.runtimes.docker_health import IN_MEMORY, as_of
from cgstatd.host.runtimes.health_log import ELSEWHERE, LOG_BYTES, NOT_WRITTEN, parse
from cgstatd.host.runtimes.podman import PodmanSource
from helpers import near

from .conftest import Write
from .written import BURN, DATABASE, DOCKER, HOSTCONFIG, ID, STATE, Row, config, database, docker_config

RUN = f"/run/containers/storage/overlay-containers/{BURN}"
LOG = f"{RUN}/healthcheck.log"
PROBE = {"Start": "2026-11-27T19:08:27.036032726Z", "End": "2026-11-27T19:08:27.614781336Z", "ExitCode": 1}
PROBED = 1795806507.614781
CHECK = {"Test": ["CMD-SHELL", "cat /s3cr3t"], "Timeout": 30000000000, "Retries": 2}


def podman(check: object = CHECK, run_dir: object = f"{RUN}/userdata", **more: Any) -> Row:
    return BURN, "pm-burn", None, config(healthcheck=check, **more), {"state": 3, "pid": 1, "runDir": run_dir}


def of(source: PodmanSource | DockerSource, key: str = BURN) -> HealthCheck | None:
    found = source.get(key)
    assert isinstance(found, Metadata)
    return found.health


def test_podmans_log_says_status_streak_and_the_latest_probe(write: Write) -> None:
    write(DATABASE, database(podman()))
    source = PodmanSource(Root())
    assert of(source) == HealthCheck(Health(None, NOT_WRITTEN), log=LOG)
    assert source.health(LOG) is None
    log = {"Status": "unhealthy", "FailingStreak": 3, "Log": [PROBE | {"Output": "s3cr3t"}] * 2}
    found = source.health(write(LOG, json.dumps(log)))
    assert found == Health("unhealthy", None, 3, near(PROBED)) and "s3cr3t" not in repr(found)
    assert parse(b'{"Status":"starting","FailingStreak":0,"Log":null}') == Health("starting", None, 0, None)
    assert parse(b'{"Status":"reset"}') == parse(b"{}") == Health(None, NOT_WRITTEN)


@pytest.mark.parametrize(
    ("row", "log"),
    [
        (podman(None), None),
        (podman({}), None),
        (podman({"Test": ["NONE"]}), None),
        (podman(healthLogDestination="local"), LOG),
        (podman(healthLogDestination="/srv/health"), f"/srv/health/{BURN}-healthcheck.log"),
        (podman(healthLogDestination="events_logger"), ""),
        (podman(healthLogDestination="relative"), ""),
        (podman(run_dir=f"/run/x/{BURN}/../../{BURN}/userdata"), ""),
        (podman(run_dir="/run/elsewhere"), ""),
        (podman(run_dir=""), ""),
    ],
)
def test_where_podmans_log_is(write: Write, row: Row, log: str | None) -> None:
    write(DATABASE, database(row))
    found = of(PodmanSource(Root()))
    assert (found and found.log) == log
    assert not found or found.written.absent


@pytest.mark.parametrize(
    ("run_dir", "destination", "log"),
    [
        (f"/run/user/1000/containers/overlay-containers/{BURN}/userdata", "local",
         f"/run/user/1000/containers/overlay-containers/{BURN}/healthcheck.log"),
        (f"/run/user/1001/containers/overlay-containers/{BURN}/userdata", "local", ""),
        (f"/etc/{BURN}/userdata", "local", ""),
        (f"/run/user/1000/{BURN}/userdata", "/etc", ""),
    ],
)  # fmt: skip
def test_a_users_word_for_another_place_is_not_followed(write: Write, run_dir: str, destination: str, log: str) -> None:
    storage = "/home/u/.local/share/containers/storage"
    write(f"{storage}/db.sql", database(podman(run_dir=run_dir, healthLogDestination=destination)), uid=1000)
    found = of(PodmanSource(Root(), storage, 1000))
    assert found is not None and found.log == log
    assert log or found.written == Health(None, ELSEWHERE)


@pytest.mark.parametrize(
    ("content", "uid", "reason"),
    [
        ("{", 0, "malformed"),
        ("[]", 0, "malformed"),
        ('{"Status": 3}', 0, "malformed"),
        ('{"Status":"healthy","FailingStreak":' + "9" * 5000 + "}", 0, "malformed"),
        (json.dumps({"Status": "healthy", "Log": [PROBE | {"Output": "x" * LOG_BYTES}]}), 0, "larger"),
        ('{"Status":"healthy"}', 1000, "uid 1000"),
    ],
)
def test_a_log_that_is_none_is_not_believed(write: Write, content: str, uid: int, reason: str) -> None:
    found = PodmanSource(Root()).health(write(LOG, content, uid=uid))
    assert isinstance(found, Unreadable) and reason in found.reason


# -- Docker

SECOND = 1_000_000_000
STARTED = 1795604229.719158
AT_START = {"Status": "starting", "FailingStreak": 0, "Log": []}


def docker(write: Write, health: object, **check: Any) -> HealthCheck | None:
    made = json.loads(docker_config(Health=health))
    made["Config"]["Healthcheck"] = {"Test": ["CMD", "s3cr3t"], **check}
    write(DOCKER, json.dumps(made))
    write(HOSTCONFIG, STATE["docker"][HOSTCONFIG])
    return of(DockerSource(Root()), ID)


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        ({}, 30),
        ({"Interval": 7 * SECOND}, 7),
        ({"Interval": 7 * SECOND, "StartInterval": SECOND}, 7),  # without a start period Docker does not use it
        ({"StartPeriod": 60 * SECOND}, 5),
        ({"StartPeriod": 60 * SECOND, "StartInterval": 2 * SECOND}, 2),
    ],
)
def test_dockers_word_holds_until_the_next_probe_may_have_been(
    write: Write, check: dict[str, int], seconds: float
) -> None:
    found = docker(write, AT_START, **check)
    assert found is not None
    assert as_of(found, STARTED + seconds - 0.01) == Health("starting", None, 0, None)
    assert as_of(found, STARTED + seconds + 0.01) == Health(None, IN_MEMORY)


def test_of_a_docker_that_writes_probes_the_latest_counts_and_without_a_check_none(write: Write) -> None:
    found = docker(write, {"Status": "healthy", "FailingStreak": 0, "Log": [PROBE | {"Output": "s3cr3t"}]})
    assert found is not None and "s3cr3t" not in repr(found)
    assert as_of(found, PROBED + 29) == Health("healthy", None, 0, near(PROBED))
    assert as_of(found, PROBED + 31) == Health(None, IN_MEMORY)
    for none in (None, {"Status": "none"}, {"Status": ""}, {}):
        assert docker(write, none) is None
