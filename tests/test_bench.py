"""The bench itself: that each part still works with the agent as it is, and that verdicts are right."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import PROJECT

HERE = f"{PROJECT}/tools/bench"
NAMES = {path.stem for path in Path(HERE).glob("*.py")}
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("cc") or not os.access("/sys/fs/cgroup", os.W_OK),
    reason="needs root, cc and cgroups that can be made",
)


@pytest.fixture(autouse=True)
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its modules import each other by their bare names, as a script's do; nobody else is to find them."""
    before = {name: sys.modules.pop(name) for name in NAMES & sys.modules.keys()}
    monkeypatch.syspath_prepend(HERE)
    yield
    for name in NAMES & sys.modules.keys():
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.host
@needs_root
def test_floor_reader_and_agent_read_the_same_containers(tmp_path: Path) -> None:
    import subjects
    from agent import agent
    from hosts import host
    from programs import compile_programs

    compile_programs(str(tmp_path))
    with host(str(tmp_path), str(tmp_path)) as made:
        made.add(2)
        made.add(1, "busy")
        assert len(subjects.floor(made, str(tmp_path), 3, 0).cpu) == 3
        assert len(subjects.library(made, str(tmp_path), 3, 0).cpu) == 3
        assert len(subjects.passes(made, str(tmp_path), 3, 0).cpu) == 3
        with agent(str(tmp_path)) as running:
            assert subjects.answers(running, made) == []
        paths = [line.split()[1] for line in made.lines]
    assert paths and not any(map(os.path.exists, paths))


def test_a_target_is_reached_missed_or_not_measured() -> None:
    from measure import Series
    from results import Result, Results
    from targets import verdicts

    result = Result("cgroups", 100, "idle")
    for name, cpu in (("floor, paced", 20.0), ("cgroupfs, paced", 26.0), ("agent, stream, 1 client", 50.0)):
        result.add(Series(name, cpu=[cpu, cpu], wall=[cpu, cpu]))
    said = {what: verdict for what, _, _, verdict in verdicts(Results([result]))}
    assert said["cgroupfs / floor, paced, 100"] == "reached"
    assert said["agent, stream round / floor, paced, 100"] == "MISSED"
    assert said["Docker API one-shot (less idle burn) / agent"] == "not measured"


def test_a_run_says_what_its_figures_mean_and_gives_verdicts_only_where_they_are_asked_for() -> None:
    from measure import Samples, Series
    from report import whole
    from results import Result, Results

    result = Result("cgroups", 100, "idle")
    for name, cpu in (
        ("floor, paced", 20.0), ("agent, stream, 1 client", 50.0), ("cAdvisor, 1 s, trimmed", 1000.0)
    ):  # fmt: skip
        result.add(Series(name, cpu=[cpu], wall=[cpu]))
    result.add(Samples("without clients", "% of a core", [0.02]))
    result.add(Samples("resident at the end", "MB", [52.0]))
    said = whole(Results([result]), [], as_markdown=False)
    assert "these 100 containers takes 0.5 % of one core: 2.5 times the C program" in said
    assert "a reading by cAdvisor, 1 s, trimmed costs 20.0 times one by the agent" in said
    assert "the agent takes 0.02 % of one core" in said and "at most 52.0 MB" in said
    assert "MISSED" not in said and "reached" not in said and "Not measured by this run" not in said
    asked = whole(Results([result]), [], as_markdown=False, with_targets=True)
    assert "MISSED" in asked and "Not measured by this run" in asked


def test_the_others_are_compared_on_a_hundred_real_containers() -> None:
    from measure import Series
    from results import Result, Results
    from targets import verdicts

    sets = []
    for kind, count, cpu in (("cgroups", 100, 100.0), ("docker containers", 100, 1000.0), ("cgroups", 1000, 1.0)):
        result = Result(kind, count, "idle")
        result.add(Series("agent, stream, 1 client", cpu=[50.0], wall=[1.0]))
        result.add(Series("cAdvisor, 1 s, trimmed", cpu=[cpu], wall=[1.0]))
        sets.append(result)
    values = {what: value for what, _, value, _ in verdicts(Results(sets))}
    assert values["cAdvisor trimmed, 1 s / agent"] == 20


def test_memory_that_grows_all_the_time_is_not_flat_and_growth_at_the_beginning_is() -> None:
    from soak import flat

    def rows(memory: list[float]) -> list[dict[str, float]]:
        return [{"rss_mb": each, "fds": 100, "own_fds": 50, "threads": 3, "watches": 50} for each in memory]

    assert flat(rows([40 + n for n in range(12)] + [52.0] * 18))["rss_mb"][2]
    assert not flat(rows([40 + n / 2 for n in range(30)]))["rss_mb"][2]


def test_what_is_kept_for_others_is_no_fault_and_what_is_kept_of_our_own_is_one() -> None:
    from soak import KEPT, kept

    before: dict[str, float] = {"cgroups": 50, "others": 3, "fds": 60, "own_fds": 0, "threads": 3, "watches": 50}
    assert set(kept(before, before).values()) == {"equal"}
    busier = before | {"cgroups": 60, "others": 5, "fds": 84, "watches": 68}
    assert KEPT not in kept(before, busier).values()
    for name, value in (("fds", 85), ("own_fds", 1), ("threads", 4), ("watches", 69)):
        found = kept(before, busier | {name: value})
        assert [each for each, words in found.items() if words == KEPT] == [name]


def test_descriptors_of_our_own_cgroups_and_processes_are_told_from_others(tmp_path: Path) -> None:
    from measure import belonging

    (tmp_path / "ours/c").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    opened = [os.open(tmp_path / path, os.O_RDONLY) for path in ("ours/c", "other")]
    sleeping = [subprocess.Popen(["sleep", "100"]) for _ in range(2)]
    ours, theirs = (each.pid for each in sleeping)
    try:
        for pid in (ours, theirs):
            opened += [os.open(f"/proc/{pid}", os.O_RDONLY), os.pidfd_open(pid)]
        me = os.getpid()
        assert belonging(me, "ours", {ours}) == 3  # the directory, the process, its pidfd
        assert belonging(me, "ours") == 1
        assert belonging(me, "ours", ended={theirs}) == 1  # its number is another's by now
        os.rmdir(tmp_path / "ours/c")
        sleeping[0].kill()
        sleeping[0].wait()
        assert belonging(me, "ours", ended={ours}) == 3
        for fd in opened[:1] + opened[2:4]:
            os.close(fd)
        del opened[2:4], opened[0]
        assert belonging(me, "ours", ended={ours}) == 0
    finally:
        for each in sleeping:
            each.kill()
            each.wait()
        for fd in opened:
            os.close(fd)


def test_two_runs_are_compared_by_their_own_floors() -> None:
    from measure import Series
    from report import compared
    from results import Result, Results

    then = Result("cgroups", 100, "idle")
    now = Result("cgroups", 100, "idle")
    for result, factor in ((then, 1), (now, 3)):  # a machine that is three times slower
        for name, cpu in (("floor, paced", 20.0), ("cgroupfs, paced", 30.0)):
            result.add(Series(name, cpu=[cpu * factor], wall=[cpu]))
    text = compared({"facts": {}, "sets": {then.label: then.as_json()}}, Results([now]))
    assert text.splitlines()[-1].split()[-3:] == ["1.50", "1.50", "1.00"]


def test_a_fleet_of_twenty_answers_each_at_its_own_address(tmp_path: Path) -> None:
    """Without a server; that takes the configuration is promtool's word, where there is one."""
    import http.client

    from fleet import Bodies, Played, address, configured, real_agents

    with real_agents(1, tmp_path) as agents:
        bodies = Bodies([agents[0].port], 3600)
        played = Played(19, bodies)
        played.start()
        answers = set()
        for number in range(19):
            connection = http.client.HTTPConnection(address(number), played.port, timeout=20)
            for coding in ("identity", "gzip"):
                connection.request("GET", "/metrics", headers={"Accept-Encoding": coding})
                answer = connection.getresponse()
                answers.add((answer.status, answer.getheader("Content-Encoding"), answer.read()))
            connection.close()
        plain, packed = bodies.now[0]
        assert answers == {(200, None, plain), (200, "gzip", packed)} and played.answered == 38
        assert b"\ncontainer_cpu_usage_seconds_total{" in plain
        played.gone()
        with pytest.raises(ConnectionRefusedError):
            http.client.HTTPConnection(address(18), played.port, timeout=20).connect()
        bodies.stop()
    targets = [f"{address(number)}:9713" for number in range(1000)]
    assert len(set(targets)) == 1000
    path = configured(tmp_path, 15.0, targets)
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "config", str(path)], check=True, capture_output=True)
