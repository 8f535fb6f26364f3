"""What the doctor says of a host, as a stranger reads it."""

from __future__ import annotations

import json
import os
import re
import select
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cgstatd.auth import store
from cgstatd.config import Settings
from cgstatd.doctor import rights, setup
from cgstatd.doctor.command import diagnose
from cgstatd.doctor.examination import in_container
from cgstatd.doctor.findings import Finding, Report, listed, some
from cgstatd.doctor.report_text import render
from cgstatd.host.pressure_triggers import Trigger, Triggers
from cgstatd.sampling.open_host import HostOptions
from fakehost import FakeHost, container_id
from helpers import HOSTS, LEGACY_CGROUPFS, UNIFIED, tree, write_files
from recordedhosts import recorded_host
from wire import run

STAT = "cpu  {busy} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 0 0 1\ncpu1 1 0 0 1\nbtime 1795606461\n"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """Two containers on a host of two cores that was half busy for two seconds."""
    host = FakeHost(tmp_path / "host")
    host.add("web", memory=3 << 20, limit=str(64 << 20))
    host.add("paused", frozen=True)
    write_files(str(host.path), {
        "proc/stat": STAT.format(busy=100, idle=100, steal=0),
        "proc/meminfo": "MemTotal: 4194304 kB\nMemFree: 2097152 kB\n",
        "proc/loadavg": "0.10 0.20 0.30 1/90 4242\n",
        "sys/fs/cgroup/cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    })  # fmt: skip
    return host


def report(host: FakeHost, tmp_path: Path, second: Mapping[str, str | bytes] | None = None) -> Report:
    """The doctor's report of the host, recorded in 2026; ``second``: what is different in the second reading."""
    directory = tmp_path / "recorded"
    host.record(directory)
    write_files(str(directory / "t1"), {"proc/stat": STAT.format(busy=300, idle=300, steal=0), **(second or {})})
    index = json.loads((directory / "index.json").read_text())
    for reading in index["readings"].values():
        reading["time_ms"] += 1_795_606_461_000
    (directory / "index.json").write_text(json.dumps(index))
    return diagnose(str(directory), HostOptions())


def findings(found: Report, title: str) -> list[Finding]:
    """The lines of a section."""
    return next(section.findings for section in found.sections if section.title.startswith(title))


def bad(found: Report) -> list[Finding]:
    """What costs something."""
    return [each for section in found.sections for each in section.findings if each.level in ("costs", "fails")]


def one(found: Report) -> Finding:
    """The only thing that costs something."""
    [finding] = bad(found)
    return finding


SCOPES = {name: f"sys/fs/cgroup/system.slice/docker-{container_id(name)}.scope" for name in ("web", "paused")}
STATE = f"var/lib/docker/containers/{container_id('web')}/config.v2.json"
COSTS = [
    pytest.param({f"{SCOPES['web']}/io.stat": None}, {},
                 ("block I/O: 1 of 2 without (web): io.stat: ", "block I/O of these (shown as 0)"),
                 id="a controller that is off for one cgroup"),
    pytest.param({STATE: None}, {}, (f"1 without a name ({container_id('web')[:12]})", "--docker-root DIR"),
                 id="a container without a name"),
    pytest.param({STATE: "{"}, {}, ("/var/lib/docker/containers: malformed",), id="a state file that is broken"),
    # one container alone is never shown with more than the host's cores can give: it takes two
    pytest.param({}, {f"{scope}/cpu.stat": "usage_usec 5000000\n" for scope in SCOPES.values()},
                 ("CPU: all containers 400.0 %, the host 100.0 %", "cgstatd record"), id="more CPU than there is"),
    pytest.param({}, {f"{SCOPES['paused']}/memory.current": str(3 << 30)}, ("more than is in use",),
                 id="more memory than is in use"),
    pytest.param({}, {f"{SCOPES['web']}/pids.current": "5000"},
                 ("processes and threads: all containers 5001, the host 90: more than there are",),
                 id="more tasks than the host has"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "second", "words"), COSTS)
def test_what_costs_something_is_told_alone_with_what_to_do(
    host: FakeHost,
    tmp_path: Path,
    changed: Mapping[str, str | None],
    second: Mapping[str, str],
    words: tuple[str, ...],
) -> None:
    for name, text in changed.items():
        if text is None:
            (host.path / name).unlink()
        else:
            (host.path / name).write_text(text)
    found = one(report(host, tmp_path, second))
    said = f"{found.what} | {found.costs} | {found.todo}"
    assert all(each in said for each in words), said


def test_a_container_that_cannot_be_read_is_left_out_with_the_file(host: FakeHost, tmp_path: Path) -> None:
    host.make_unreadable("web", "memory.current")
    found = one(report(host, tmp_path))
    assert found.what.startswith("1 container left out (web): cannot read memory: ") and "memory.current" in found.what


# -- recorded hosts


@pytest.mark.parametrize("name", HOSTS)
def test_a_recorded_hosts_screen_says_what_runs_and_passes_its_self_check(name: str) -> None:
    ran = run("doctor", "--host-root", recorded_host(name))
    assert re.search(r"^  ok    docker: \d+ running, 1 paused, [23] stopped$", ran.stdout, re.MULTILINE), ran.stdout
    for line in ("CPU: all containers", "memory: all containers", "limits: no container", "processes and threads: all"):
        assert f"  ok    {line}" in ran.stdout
    assert ran.stderr == ""
    assert max(map(len, ran.stdout.splitlines())) <= 100 and len(ran.stdout.splitlines()) <= 45


def test_rootless_containers_have_no_block_figures_and_the_doctor_says_why_and_what_to_do() -> None:
    found = diagnose(recorded_host(UNIFIED), HostOptions())
    assert found.exit_code == 1
    assert "rl-burn, rl-idle" in one(found).what and "Delegate=cpu cpuset io memory pids" in one(found).todo


def test_one_reading_alone_is_looked_at_too() -> None:
    ran = run("doctor", "--host-root", tree(LEGACY_CGROUPFS, "t1"))
    assert "v1 alone" in ran.stdout and "docker: " in ran.stdout
    assert ran.returncode in (0, 1)


def test_json_has_the_same_as_the_screen() -> None:
    ran = run("doctor", "--json", "--host-root", recorded_host(UNIFIED))
    found = json.loads(ran.stdout)
    assert ran.returncode == found["exit_code"] == 1
    assert [section["title"] for section in found["sections"]][1:] == [
        "Containers", "Figures", "Clock and cores", "Self-check"
    ]  # fmt: skip
    levels = {finding["level"] for section in found["sections"] for finding in section["findings"]}
    assert levels == {"ok", "note", "costs"}


def test_without_cgroups_nothing_works_and_it_says_what_to_do(tmp_path: Path) -> None:
    ran = run("doctor", "--host-root", str(tmp_path))
    assert ran.returncode == 2
    said = " ".join(ran.stdout.split())  # where a line is broken depends on how long the path is
    assert "FAILS no cgroup file system is mounted below " in said and "mount -t cgroup2" in said
    assert ran.stdout.endswith("Nothing can be read here: see FAILS above.\n")


def test_a_tree_of_a_newer_version_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('{"format": 99}')
    ran = run("doctor", "--host-root", str(tmp_path))
    assert ran.returncode == 2 and "newer version" in ran.stderr


# -- what is missing


def test_a_healthy_host_misses_nothing(host: FakeHost, tmp_path: Path) -> None:
    found = report(host, tmp_path)
    assert bad(found) == [] and found.exit_code == 0
    assert findings(found, "Containers")[0].what == "docker: 1 running, 1 paused"
    assert findings(found, "Figures")[0].what == "CPU, memory, block I/O, network: known for all 2 running containers"
    assert found.verdict.startswith("Nothing is missing.")


def test_a_host_without_the_memory_controller_is_told_how_to_get_it(host: FakeHost, tmp_path: Path) -> None:
    write_files(str(host.path), {
        "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io pids\n",
        "proc/cmdline": "console=tty1 cgroup_disable=memory rootwait\n",
        "proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\n",
    })  # fmt: skip
    for name in ("web", "paused"):
        for file in ("memory.current", "memory.stat", "memory.max"):
            (host.scope(name) / file).unlink()
    found = report(host, tmp_path)
    first = one(found)
    assert first.what == "memory: switched off on the kernel command line"
    assert "cgroup_enable=memory" in first.todo and "/boot/firmware/cmdline.txt" in first.todo
    assert "memory: of no container, see above" in [finding.what for finding in findings(found, "Figures")]
    assert found.exit_code == 1


def test_labels_that_are_left_out_are_told_with_how_to_keep_them(host: FakeHost, tmp_path: Path) -> None:
    config = host.path / f"var/lib/docker/containers/{container_id('web')}/config.v2.json"
    labels = {f"label-{number}": "x" for number in range(10_000)}
    config.write_text(json.dumps({"Name": "/web", "State": {"Running": True}, "Config": {"Labels": labels}}))
    [note] = [each for each in findings(report(host, tmp_path), "Containers") if "labels" in each.what]
    assert note.what == f"docker: 1 with more labels than are kept ({container_id('web')[:12]})"
    assert note.level == "note" and "metric_labels" in note.todo


def test_a_host_where_nothing_runs_says_so(tmp_path: Path) -> None:
    found = report(FakeHost(tmp_path / "host"), tmp_path)
    assert findings(found, "Containers")[0].what == "none is running"
    assert found.exit_code == 0


def test_the_inside_of_a_container_is_recognised(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    write_files(str(host.path), {"proc/1/comm": "python3\n"})
    host.on_disk("stopped")
    found = report(host, tmp_path)
    assert "the inside of a container" in one(found).what and "--host-root /host" in one(found).todo
    assert [each.what for each in findings(found, "Containers")][1:] == ["docker: none running, 1 stopped"]


@pytest.mark.parametrize(("second", "inside"), [("kthreadd\n", False), ("sh\n", True)])
def test_a_host_is_known_by_its_second_process(host: FakeHost, second: str, inside: bool) -> None:
    write_files(str(host.path), {"proc/2/comm": second})
    assert in_container(host.root()) is inside


class Sleeping:
    """What happens while the doctor waits: each time it does, the next of these."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        self._happens = iter(happens)

    def __call__(self, seconds: float) -> None:
        next(self._happens, lambda: None)()
        time.sleep(min(seconds, 0.2))


def figures_of_a_live_host(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, *happens: Callable[[], object]
) -> list[str]:
    """The section of the figures, of a host that is not a recorded one."""
    clock = SimpleNamespace(sleep=Sleeping(*happens), process_time=time.process_time)
    monkeypatch.setattr("cgstatd.doctor.examination.time", clock)
    found = diagnose(str(host.path), HostOptions())
    return [f"{each.level} {each.what}" for each in findings(found, "Figures")]


def test_a_container_that_starts_while_the_doctor_looks_has_its_cpu_figure(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = figures_of_a_live_host(host, monkeypatch, lambda: host.add("new"), lambda: host.burn("new", 1_050_000))
    assert said == ["ok CPU, memory, block I/O, network: known for all 3 running containers"]


def test_a_container_that_is_seen_once_is_no_failure(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    said = figures_of_a_live_host(host, monkeypatch, lambda: host.add("new"), lambda: host.burn("new", 0))
    assert said[0] == "ok memory, block I/O, network: known for all 3 running containers"
    assert len(said) == 2 and said[1].startswith("note CPU: 1 of 3 not yet (")


def test_a_container_that_ends_while_the_doctor_looks_is_not_counted(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add("short")
    said = figures_of_a_live_host(host, monkeypatch, lambda: host.remove("short"))
    assert said == ["ok CPU, memory, block I/O, network: known for all 2 running containers"]


def test_the_hosts_network_is_not_said_to_be_known_and_missing_at_once() -> None:
    found = findings(diagnose(recorded_host(UNIFIED), HostOptions()), "Figures")
    assert found[0].what == "CPU, memory: known for all 22 running containers"
    network = "known for the other 21; hostnet uses the host's, shown as 0, as in `docker stats`"
    assert found[-1].what == f"network: {network}"


@pytest.mark.skipif(os.geteuid() != 0, reason="cgroups that are not root's are some user's: needs root")
def test_names_that_are_looked_for_from_a_container_are_told_with_what_to_mount(host: FakeHost) -> None:
    (host.path / "var/lib/docker/containers" / container_id("web") / "config.v2.json").unlink()
    said = [each.todo for each in findings(diagnose(str(host.path), HostOptions()), "Containers")]
    assert any(f"(/var/lib/docker/containers) below {host.path}, read-only" in todo for todo in said)


# -- who may ask


def test_a_tokens_file_that_was_named_and_is_not_there_keeps_it_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "load", lambda: Settings(tokens=f"{tmp_path}/typo.json"))
    found = setup.section().findings[1]
    assert (found.level, found.what) == ("costs", f"tokens {tmp_path}/typo.json: no such file")
    assert "refuses to start" in found.costs


@pytest.mark.parametrize(
    ("settings", "tokens", "level", "said"),
    [
        ({}, None, "ok", "every user of this host, and no other client"),
        ({}, [], "note", "has no token in it: no client is answered"),
        ({}, ["central"], "ok", "1 token: no client is answered without one"),
        ({"env_id": 7}, ["central"], "costs", "no token is for environment 7, which this host is (central: 1)"),
        ({"listen": ("127.0.0.1:1", "0.0.0.0:2")}, None, "costs", "listening on 0.0.0.0:2, it would answer"),
        ({"listen": ("[::]:2",)}, [], "costs", "listening on [::]:2, it would answer every client"),
        ({"listen": ("[::]:2",)}, ["central"], "ok", "1 token: no client is answered without one"),
        ({"listen": ("[::]:2",), "tls_client_ca": "/c"}, None, "ok", "that tls_client_ca vouches for"),
    ],
)
def test_whether_it_would_start_and_who_may_ask(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    tokens: list[str] | None,
    level: str,
    said: str,
) -> None:
    path = f"{tmp_path}/tokens.json"
    if tokens is not None:
        for name in ("revoked", *tokens):
            store.add(path, name, [1], ["containers:view"])
        store.revoke(path, "revoked")
    monkeypatch.setattr(store, "DEFAULT_TOKENS", path)
    monkeypatch.setattr(setup, "load", lambda: Settings(tokens=path if tokens is not None else "", **settings))
    found = setup.section().findings[1]
    assert found.level == level and said in found.what
    lost = "refuses to start" in found.costs or "answered 403" in found.costs
    assert level != "costs" or (lost and "cgstatd token new" in found.todo)


# -- clock, cores, self-check


def test_a_clock_that_was_never_set_is_noticed(host: FakeHost, tmp_path: Path) -> None:
    found = diagnose(host.record(tmp_path / "recorded"), HostOptions())
    assert "the clock says 1970-01-01" in one(found).what and "timedatectl" in one(found).todo


def test_cores_that_differ_between_proc_and_sys_are_noticed(host: FakeHost, tmp_path: Path) -> None:
    write_files(str(host.path), {"sys/devices/system/cpu/online": "0-2,7\n"})
    what = findings(report(host, tmp_path), "Clock")[1].what
    assert what.startswith("/proc/stat shows 2 cores, the kernel has 4:")


def test_stolen_time_is_noticed(host: FakeHost, tmp_path: Path) -> None:
    found = report(host, tmp_path, {"proc/stat": STAT.format(busy=200, idle=200, steal=200)})
    assert "the hypervisor gave 50% of" in findings(found, "Clock")[-1].what


# -- words


def test_what_a_host_calls_itself_cannot_move_the_cursor(host: FakeHost, tmp_path: Path) -> None:
    write_files(str(host.path), {"proc/sys/kernel/hostname": "evil\x1b[2Jname\n"})
    host.on_disk("web", running=True, shown="a\x1b[31mb")
    (host.scope("web") / "io.stat").unlink()
    assert "\x1b" not in render(report(host, tmp_path))


def test_counts_and_lists_are_words() -> None:
    assert (some(1, "core"), some(2, "core"), some(0, "core")) == ("1 core", "2 cores", "0 cores")
    assert listed("abc") == "a, b, c" and listed("abcdefg", 2) == "a, b and 5 more"


# -- rights


@pytest.mark.parametrize(("line", "bits"), [("CapEff:\t0000000000000004\n", 4), ("", 0), ("CapEff:\tx\n", 0)])
def test_the_effective_capabilities_are_the_kernels(tmp_path: Path, line: str, bits: int) -> None:
    (tmp_path / "status").write_text(f"Name:\tx\n{line}")
    assert rights.effective(str(tmp_path / "status")) == bits
    assert rights.effective(str(tmp_path / "missing")) == 0


@pytest.mark.parametrize(
    ("options", "level"),
    [("rw", None), ("rw,hidepid=0", None), ("rw,hidepid=off", None), ("rw,hidepid=2", "note"),
     ("rw,gid=4,hidepid=invisible", "note")],
)  # fmt: skip
def test_hidden_processes_are_noticed(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, options: str, level: str | None
) -> None:
    monkeypatch.setattr(rights, "effective", lambda: 4)
    write_files(str(host.path), {"proc/self/mountinfo": f"22 28 0:20 / /proc rw,nosuid - proc proc {options}\n"})
    found = rights.section(host.root()).findings
    assert found[0].level == "ok"
    hidden = [finding for finding in found if "hidepid" in finding.what]
    assert [finding.level for finding in hidden] == ([level] if level else [])


def test_without_the_capability_names_are_said_to_be_missing(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "effective", lambda: 0)
    found = rights.section(host.root()).findings[0]
    assert found.level == "note" and "no names" in found.what


@pytest.mark.parametrize(
    ("mode", "history", "level", "word"),
    [(0o700, 3600.0, "ok", "history on disk"), (0o777, 3600.0, "costs", "other users may write"),
     (0o700, 0.0, "costs", "history = 0"), (None, 3600.0, "costs", "No such file")],
)  # fmt: skip
def test_the_directory_of_the_history_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None, history: float, level: str, word: str
) -> None:
    directory = tmp_path / "history"
    if mode is not None:
        directory.mkdir()
        directory.chmod(mode)
    settings = Settings(tokens=f"{tmp_path}/none", history_dir=str(directory), history=history)
    monkeypatch.setattr(setup, "load", lambda: settings)
    found = setup.section().findings[-1]
    assert found.level == level and word in found.what


def test_files_of_the_history_that_were_set_aside_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "history").mkdir(mode=0o700)
    (tmp_path / "history" / "history-00000003.db.set-aside").write_text("x")
    monkeypatch.setattr(setup, "load", lambda: Settings(history_dir=f"{tmp_path}/history"))
    found = setup.section().findings[-1]
    assert found.level == "note" and "1 file of the history" in found.what


def test_whether_pressure_is_watched_or_why_not(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = "this kernel has no pressure"
    readable, writable = os.pipe()
    trigger = Trigger("cpu", readable, select.epoll())
    monkeypatch.setattr(
        "cgstatd.doctor.cgroups.open_triggers", lambda _: Triggers([trigger], {"memory": refused, "io": refused})
    )
    monkeypatch.setattr("cgstatd.doctor.examination.time", SimpleNamespace(sleep=Sleeping(), process_time=lambda: 0.0))
    found = findings(diagnose(str(host.path), HostOptions()), "Control groups")
    os.close(writable)
    watched = [f"{each.level} {each.what}" for each in found if "watched" in each.what]
    assert watched == [
        "ok pressure is watched: the kernel wakes the agent when processes wait for cpu",
        f"note pressure is not watched (memory, io): {refused}",
    ]
    assert trigger.waits.closed


V2, V1 = "32 24 0:27 / {} rw - cgroup2 cgroup2 rw\n", "33 24 0:28 / {} rw - cgroup cgroup rw,memory,pids\n"


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        pytest.param(V2.format("/sys/fs/cgroup") + V1.format("/sys/v1"), [], id="hybrid, containers in both"),
        pytest.param(
            V2.format("/sys/v2") + V1.format("/sys/fs/cgroup"),
            ["pressure (PSI): 2 of 2 containers are in v1 alone (paused, web)"],
            id="hybrid, containers in v1 alone",
        ),
        pytest.param(V1.format("/sys/fs/cgroup"), ["pressure (PSI): v1 has none"], id="v1"),
    ],
)
def test_who_has_pressure_depends_on_the_trees_that_containers_are_in(
    host: FakeHost, tmp_path: Path, mounts: str, said: list[str]
) -> None:
    write_files(str(host.path), {
        "proc/1/mountinfo": mounts, "sys/v1/tasks": "", "sys/v2/cpu.pressure": "some total=0\n"
    })  # fmt: skip
    found = findings(report(host, tmp_path), "Control groups")
    assert [each.what for each in found if each.what.startswith("pressure")] == said


def test_pressure_that_is_switched_off_is_so_on_a_hybrid_host_too(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgstatd.doctor.cgroups.open_triggers", lambda _: Triggers([], {}))
    monkeypatch.setattr("cgstatd.doctor.examination.time", SimpleNamespace(sleep=Sleeping(), process_time=lambda: 0.0))
    write_files(str(host.path), {
        "proc/1/mountinfo": V2.format("/sys/v2") + V1.format("/sys/fs/cgroup"), "sys/v2/cgroup.procs": ""
    })  # fmt: skip
    found = findings(diagnose(str(host.path), HostOptions()), "Control groups")
    assert [each.what for each in found if each.what.startswith("pressure")] == ["pressure (PSI): switched off"]


def test_a_recorded_host_says_nothing_of_watching(host: FakeHost, tmp_path: Path) -> None:
    assert not [each for each in findings(report(host, tmp_path), "Control groups") if "watched" in each.what]
