"""Ids, states, times and filters in the Engine API's words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Endpoint, Metadata, Port, State
from cgstatd.outputs.engine import events, inventory, names
from cgstatd.outputs.engine.container_filters import FILTERS, chosen
from cgstatd.outputs.engine.containers import Listed, inspected, status_text, summary
from cgstatd.outputs.engine.filters import BadFilter, parse_filters

HEX = "ab" * 32
NOW = 1_800_000_000.0


def listed(name: str = "web", *, running: bool = True, born: float | None = None, **more: Any) -> Listed:
    """A container of Docker's; ``more``: of its metadata."""
    more = {"state": State.RUNNING if running else State.EXITED} | more
    metadata = Metadata("docker", more.pop("id", HEX), name, **more)
    identity = Identity(metadata.id, name, "docker", 0, metadata)
    return Listed(identity, metadata.state, running, born)


# -- ids


def test_an_id_of_64_hexadecimal_digits_stays_itself_and_a_name_gets_one_that_tells_runtime_and_owner_apart() -> None:
    assert names.engine_id("docker", 0, HEX) == HEX
    made = {names.engine_id(*each) for each in (("lxc", 0, "web"), ("lxc", 1000, "web"), ("systemd-nspawn", 0, "web"))}
    assert len(made) == 3 and all(re.fullmatch("[0-9a-f]{64}", each) for each in made)


# -- times, as docker/go-units has them (duration_test.go)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.45, "Less than a second"), (1, "1 second"), (45, "45 seconds"), (46, "46 seconds"), (59, "59 seconds"),
        (60, "About a minute"), (90, "About a minute"), (180, "3 minutes"), (35 * 60, "35 minutes"),
        (3600, "About an hour"), (45 * 60, "45 minutes"), (3 * 3600, "3 hours"), (3.5 * 3600, "4 hours"),
        (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (3 * 86400, "3 days"), (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"), (35 * 86400, "5 weeks"), (60 * 86400, "2 months"), (100 * 86400, "3 months"),
        (730 * 86400, "2 years"), (-5, "Less than a second"),
    ],
)  # fmt: skip
def test_a_duration_is_said_as_docker_ps_says_it(seconds: float, words: str) -> None:
    assert names.duration(seconds) == words


def test_times_are_rfc_3339_with_nanoseconds() -> None:
    assert names.rfc3339_ns(1_795_660_957_245_082_234) == "2026-11-26T02:42:37.245082234Z"
    assert names.rfc3339(None) == names.ZERO_TIME
    assert names.rfc3339_ns(1 << 80) == names.ZERO_TIME


# -- the status column


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (listed(started_seconds=NOW - 7200), "Up 2 hours"),
        (listed(started_seconds=NOW - 9, state=State.PAUSED), "Up 9 seconds (Paused)"),
        (listed(born=NOW - 9), "Up 9 seconds"),
        (listed(), "Up"),
        (listed(running=False, exit_code=3, finished_seconds=NOW - 5), "Exited (3) 5 seconds ago"),
        (listed(running=False), "Exited (255)"),
        (listed(running=False, state=State.CREATED, exit_code=127), "Created"),
        (listed(running=False, state=State.CREATED), "Created"),
        (listed(state=State.RESTARTING, exit_code=1, finished_seconds=NOW - 1), "Restarting (1) 1 second ago"),
    ],
)  # fmt: skip
def test_the_status_is_said_as_docker_ps_says_it(each: Listed, words: str) -> None:
    assert status_text(each, NOW) == words


@pytest.mark.parametrize("state", [State.EXITED, State.RESTARTING])
def test_an_exit_code_that_is_not_known_is_no_success(state: State) -> None:
    """255 is what dockerd says of an end that it missed."""
    each = listed(running=False, state=state)._replace(absent="it was started again")
    found = inspected(each)["State"]
    assert found["ExitCode"] == 255 and "(255)" in status_text(each, NOW)
    assert found["Error"] == (
        "the exit code is not known, nor is it whether it was killed for want of memory: it was started again"
    )
    assert "(255)" in summary(each, NOW)["Status"]
    known = listed(running=False, state=state, oom_killed=False)
    assert inspected(known)["State"]["Error"].startswith("the exit code is not known: ")
    for value, fits in (("255", [each]), ("0", [])):
        assert chosen([each], {"exited": {value}}, everything=True, limit=0) == fits


@pytest.mark.parametrize(
    ("code", "killed", "said"), [(137, None, True), (137, False, False), (137, True, False), (1, None, False)]
)
def test_a_kill_of_unknown_cause_says_that_it_is_unknown(code: int, killed: bool | None, said: bool) -> None:
    """``OOMKilled`` has no word for unknown."""
    found = inspected(listed(running=False, exit_code=code, oom_killed=killed))["State"]
    assert found["OOMKilled"] is bool(killed)
    assert found["Error"] == ("whether it was killed for want of memory is not known" if said else "")


@pytest.mark.parametrize(("code", "words"), [(127, "missing"), (126, "executed"), (128, "could not start it")])
def test_a_start_that_failed_has_its_engines_code_and_the_agents_words(code: int, words: str) -> None:
    """The engine's own name the program and paths of mounts."""
    each = listed(running=False, state=State.CREATED, exit_code=code)
    found = inspected(each)["State"]
    assert found["ExitCode"] == code and found["Status"] == "created" and words in found["Error"]
    assert chosen([each], {"exited": {str(code)}}, everything=True, limit=0) == []  # as dockerd: it never ran


@pytest.mark.parametrize(
    "each",
    [listed(pid=7), listed(exit_code=None, state=State.PAUSED, pid=7), listed(running=False, exit_code=0, pid=7)],
)
def test_what_runs_or_ended_with_0_has_0_and_no_error_and_a_first_process_where_it_runs(each: Listed) -> None:
    """containerd's file keeps its pid until the task is deleted."""
    found = inspected(each)["State"]
    assert (found["ExitCode"], found["Error"], found["Pid"]) == (0, "", 7 if each.running else 0)


def test_a_container_of_which_no_file_says_its_state_is_what_its_cgroup_says() -> None:
    assert listed(state=State.UNKNOWN).status == "running"
    assert listed(running=False, state=State.UNKNOWN).status == "exited"


# -- the list


def test_published_and_exposed_ports() -> None:
    each = listed(ports=(Port(80, "tcp", 8080, "0.0.0.0"), Port(53, "udp")))
    assert summary(each, NOW)["Ports"] == [
        {"PrivatePort": 80, "Type": "tcp", "IP": "0.0.0.0", "PublicPort": 8080},
        {"PrivatePort": 53, "Type": "udp"},
    ]
    assert inspected(each)["NetworkSettings"]["Ports"] == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "53/udp": None
    }  # fmt: skip
    assert inspected(each)["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}


def test_labels_say_what_a_container_really_is() -> None:
    assert summary(listed(labels={"app": "web"}), NOW)["Labels"] == {
        "app": "web", "cgstatd.runtime": "docker", "cgstatd.owner": "0"
    }  # fmt: skip


def ask(filters: dict[str, Any], *several: Listed, everything: bool = True, limit: int = 0) -> list[str]:
    """The names that a request for these filters gets."""
    parsed = parse_filters(json.dumps(filters), FILTERS)
    return [each.identity.name for each in chosen(several, parsed, everything=everything, limit=limit)]


WEB = listed(
    "web", id="aa" * 32, labels={"app": "shop", "tier": ""}, image="nginx:latest", image_id="sha256:" + "12" * 32,
    created_seconds=30.0, ports=(Port(80, "tcp", 8080),),
    endpoints=(Endpoint("shop_default", "cd" * 32),),
)  # fmt: skip
JOB = listed("job", id="bb" * 32, running=False, exit_code=3, created_seconds=20.0, network_mode="host")
OLD = listed("old-web", id="cc" * 32, running=False, exit_code=0, created_seconds=10.0)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "web job old-web"),
        ({"name": ["web"]}, "web old-web"), ({"name": ["^/web$"]}, "web"), ({"name": ["^old"]}, "old-web"),
        ({"name": {"job": True, "web": False}}, "job"), ({"id": ["aaaa"]}, "web"),
        ({"label": ["app"]}, "web"), ({"label": ["app=shop"]}, "web"), ({"label": ["app=shop", "tier="]}, "web"),
        ({"label": ["app=other"]}, ""), ({"label": ["cgstatd.runtime=docker"]}, "web job old-web"),
        ({"status": ["exited"]}, "job old-web"), ({"status": ["running", "exited"], "name": ["web"]}, "web old-web"),
        ({"exited": ["3"]}, "job"), ({"health": ["healthy"]}, ""), ({"health": ["none"]}, "web job old-web"),
        ({"ancestor": ["nginx"]}, "web"), ({"ancestor": ["121212121212"]}, "web"),
        ({"network": ["shop_default"]}, "web"), ({"network": ["host"]}, "job"),
        ({"publish": ["8080"]}, "web"), ({"publish": ["8080/udp"]}, ""), ({"expose": ["80/tcp"]}, "web"),
        ({"before": ["job"]}, "old-web"), ({"since": ["job"]}, "web"), ({"volume": ["data"]}, ""),
    ],
)  # fmt: skip
def test_filters(filters: dict[str, Any], expected: str) -> None:
    assert ask(filters, OLD, WEB, JOB) == expected.split()


def test_without_all_only_those_that_run_are_listed() -> None:
    assert ask({}, OLD, WEB, JOB, everything=False) == ["web"]
    assert ask({}, OLD, WEB, JOB, everything=False, limit=2) == ["web", "job"]
    assert ask({"status": ["exited"]}, OLD, WEB, JOB, everything=False) == ["job", "old-web"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope", "invalid filter"), ('{"label": 3}', "invalid filter"), ('{"nope": ["x"]}', "invalid filter 'nope'"),
        ("[" * 100_000, "invalid filter"), ("[" * 10_000, "invalid filter"),
        ('{"status": ["asleep"]}', "invalid filter 'status=asleep'"),
        ('{"exited": ["x"]}', "invalid filter 'exited=x'"),
        ('{"before": ["nobody-home"]}', "No such container: nobody-home"),
    ],
)  # fmt: skip
def test_bad_filters_are_refused(text: str, words: str) -> None:
    with pytest.raises(BadFilter, match=re.escape(words)):
        chosen([WEB], parse_filters(text, FILTERS), everything=True, limit=0)


# -- beside containers


def test_images_are_those_that_containers_name() -> None:
    found = inventory.images([WEB, JOB, listed("b", image="busybox", image_id="sha256:" + "34" * 32)])
    assert [(each["RepoTags"], each["Containers"], each["Size"]) for each in found] == [
        (["nginx:latest"], 1, 0), (["busybox:latest"], 1, 0)
    ]  # fmt: skip


def test_networks_have_the_addresses_of_those_that_run() -> None:
    here = Endpoint("shop", "cd" * 32, "ef" * 32, "172.18.0.3", 16, "172.18.0.1", mac="02:42:ac:12:00:03")
    several = [
        listed("a", endpoints=(here,)),
        listed("b", id="bb" * 32, running=False, endpoints=(Endpoint("shop", "cd" * 32),)),
    ]
    (network,) = inventory.networks(several)
    assert (network["Name"], network["Id"]) == ("shop", "cd" * 32)
    assert {each["Name"]: each["IPv4Address"] for each in network["Containers"].values()} == {"a": "172.18.0.3/16"}


# -- events


def test_what_the_state_on_disk_says_of_the_past() -> None:
    each = listed("job", running=False, exit_code=3, created_seconds=10.0, started_seconds=11.0, finished_seconds=13.5)
    told = [found.event for found in events.recorded([each])]
    of_all = {"name": "job", "image": "", "cgstatd.runtime": "docker", "cgstatd.owner": "0"}
    assert [(e.action, e.time_ns, e.attributes) for e in told] == [
        ("create", 10_000_000_000, of_all),
        ("start", 11_000_000_000, of_all),
        ("die", 13_500_000_000, of_all | {"exitCode": "3", "execDuration": "2"}),
    ]


def test_an_end_is_never_told_before_its_start_and_one_without_a_code_is_no_success() -> None:
    each = listed("job", running=False, exit_code=3, started_seconds=11.001, finished_seconds=11.0)
    start, die = (found.event for found in events.recorded([each]))
    assert die.time_ns >= start.time_ns
    unknown = events.ended(each.identity, None, 5.0, None, 6_000_000_000, absent="why").attributes
    assert (unknown["exitCode"], unknown["error"]) == ("255", "the exit code is not known: why")
    known = events.ended(each.identity, 0, 5.0, None, 6_000_000_000).attributes
    assert known["exitCode"] == "0" and "error" not in known


def test_an_event_is_written_as_docker_writes_it() -> None:
    made = events.event("rename", WEB.identity, 1_795_660_957_750_984_060, oldName="/done")
    assert json.loads(made.line) == {
        "status": "rename", "id": "aa" * 32, "from": "nginx:latest", "Type": "container", "Action": "rename",
        "Actor": {"ID": "aa" * 32, "Attributes": {
            "app": "shop", "tier": "", "cgstatd.runtime": "docker", "cgstatd.owner": "0", "oldName": "/done",
            "image": "nginx:latest", "name": "web"}},
        "scope": "local", "time": 1_795_660_957, "timeNano": 1_795_660_957_750_984_060,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"type": ["container"]}, True), ({"type": ["network"]}, False), ({"event": ["start", "die"]}, True),
        ({"event": ["die"]}, False), ({"container": ["web"]}, True), ({"container": ["aaaaaa"]}, True),
        ({"container": ["b"]}, False), ({"image": ["nginx"]}, True), ({"label": ["app=shop"]}, True),
        ({"label": ["app=x"]}, False), ({"label": ["name=web"]}, True), ({"volume": ["v"]}, False),
        ({"scope": ["swarm"]}, False),
    ],
)  # fmt: skip
def test_events_are_filtered(filters: dict[str, Any], wanted: bool) -> None:
    made = events.event("start", WEB.identity, 0)
    assert events.wanted(parse_filters(json.dumps(filters), events.FILTERS))(made) is wanted


def test_times_of_a_request() -> None:
    assert events.parse_time("1795660957.5") == 1_795_660_957_500_000_000
    assert events.parse_time("1795660957") == 1_795_660_957_000_000_000
    assert events.parse_time("") is None
    for text in ("10m", "-3", "1.x", "9" * 40):
        with pytest.raises(BadFilter):
            events.parse_time(text)
