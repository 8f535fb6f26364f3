"""The table of fields and its reader: any set of fields says what the full records say, on every recorded host."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgroupfs import (
    FIELDS,
    MAX,
    VITALS,
    Absent,
    Cgroup,
    CgroupGone,
    Descriptors,
    Directory,
    Hierarchy,
    Mount,
    ParseError,
    Population,
    Root,
    Version,
    Vitals,
    field_files,
    select,
)
from helpers import LEGACY, TREES, UNIFIED, cgroup, cgroups, made_cgroup, open_descriptors, tree

EVERYWHERE = pytest.mark.parametrize(("host", "reading"), TREES)


def recorded_by(group: Cgroup) -> dict[str, object]:
    """Every field, as the records say it."""
    found: dict[str, object] = {}
    cpu, memory, pids, pressure = group.cpu(), group.memory(), group.pids(), group.pressure()
    found["cpu.shares"] = group.limits().cpu_shares
    io = group.io()
    found["io.devices"] = None if io.devices is None else (io.devices, io.source)
    of: dict[str, Any] = {"cpu": cpu, "memory": memory, "memory.stat": memory.stat, "memory.events": memory.events}
    for prefix, record in {**of, "pids": pids, "pressure": pressure}.items():
        found |= {f"{prefix}.{each.name}": getattr(record, each.name) for each in dataclasses.fields(record)}
    return found


@EVERYWHERE
def test_every_field_says_what_the_records_say_alone_and_with_others_and_when_it_is_kept_open(
    host: str, reading: str
) -> None:
    names = [name for name in FIELDS if name not in ("freezer.frozen", "io.limits", "memory.stat_file")]
    for name, group in cgroups(host, reading):
        expected, together = recorded_by(group), group.read(select(*names))
        assert {field: expected[field] for field in names} == together.values, name
        noted = {each.field for each in group.io().missing}
        assert {each.field for each in together.missing} == {f for f in names if expected[f] is None} | noted, name
        for field in names:
            assert group.read(select(field)).values == {field: expected[field]}, name
        for spare in (1000, 3, 0):
            descriptors = Descriptors(spare)
            reader = group.reader(select(*names), descriptors)
            found = reader.read()
            assert found == reader.read() and found.values == together.values, name
            assert set(found.missing) == set(together.missing), name
            reader.close()
            reader.close()
            assert descriptors.used == 0


@EVERYWHERE
def test_every_field_that_is_there_has_a_source_that_is_there_and_is_recorded(host: str, reading: str) -> None:
    for _, group in cgroups(host, reading):
        for name, value in group.read(select(*FIELDS)).values.items():
            path = group.source(name)
            if value is not None:
                assert path.startswith("/sys/") and os.path.isfile(tree(host, reading) + path), name
            assert path.rpartition("/")[2] in field_files()


def test_these_fields_stand_still_while_nothing_runs() -> None:
    """Of an idle container they are not read again: one too many would be an old figure."""
    idle = {name for name, field in FIELDS.items() if field.idles}
    whole = {name for name in FIELDS if name.startswith(("memory.stat.", "memory.events."))}
    assert idle == whole | {
        "memory.stat_file", "memory.swap_bytes", "memory.peak_bytes", "memory.failcnt", "pids.current",
    }  # fmt: skip


def test_a_rule_reads_no_file_but_those_that_it_names() -> None:
    """Others are not kept open for it, and not recorded."""
    rules = [place for field in FIELDS.values() for place in (field.v1, field.v2) if place and place.rule]
    assert len(rules) > 3
    for place in rules:
        asked: set[str] = set()

        def value(name: str, parse: Callable[[bytes], Any], asked: set[str] = asked) -> Any:
            asked.add(name)
            return parse(b"1\n")

        assert place.rule is not None
        with suppress(ParseError):
            place.rule(cast(Any, SimpleNamespace(value=value, note=lambda *_: None)))
        assert place.file in asked <= {place.file, *place.others}


def test_each_file_is_opened_and_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    content = Directory.content

    def noting(self: Directory, name: str) -> bytes | Absent:
        opened.append(f"{self.path}/{name}")
        return content(self, name)

    monkeypatch.setattr(Directory, "content", noting)
    for host in (UNIFIED, LEGACY):
        opened.clear()
        cgroup(host, "web").read(select(*FIELDS))
        assert len(opened) == len(set(opened)) > 15


def test_every_field_has_a_place_and_the_name_of_its_record() -> None:
    for name, field in FIELDS.items():
        assert field.name == name and (field.v1 or field.v2)
        assert field.unit in ("bytes", "nanoseconds", "microseconds", "")
    with pytest.raises(KeyError):
        select("memory.usage")


@EVERYWHERE
def test_limits_agree_with_the_records(host: str, reading: str) -> None:
    for _, group in cgroups(host, reading):
        limits = group.limits()
        assert limits.memory_max_bytes == group.memory().max_bytes
        assert limits.pids_max == group.pids().max
        assert (limits.cpu_quota_usec, limits.cpu_period_usec) == (group.cpu().quota_usec, group.cpu().period_usec)


def test_malformed_files_are_no_values(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {name: "\xff nonsense\n" for name in (
        "cpu.stat", "cpu.max", "cpu.weight", "memory.current", "memory.max", "memory.events", "memory.peak",
        "memory.stat", "io.stat", "pids.current", "cpu.pressure")}  # fmt: skip
    group = made_cgroup(tmp_path, Version.V2, files)
    found = group.read(select(*FIELDS))
    assert not any(found.values.values())
    malformed = {each.path.rpartition("/")[2] for each in found.missing if each.reason is Absent.MALFORMED}
    assert malformed == {*files}
    assert group.reader(VITALS, Descriptors(9)).read() == Vitals(None, None, None)


@pytest.mark.parametrize(
    ("file", "content", "field", "value"),
    [
        ("cpu.max", "max 100000", "cpu_cores", None),
        ("cpu.max", "50000 100000", "cpu_cores", 0.5),
        ("cpu.max", "250000 100000", "cpu_cores", 2.5),
        ("cpu.max", "nonsense", "cpu_cores", None),
        *(("cpu.weight", *row) for row in (
            ("1", "cpu_shares", 2), ("39", "cpu_shares", 998), ("100", "cpu_shares", 2597),
            ("10000", "cpu_shares", 262144),
        )),
        ("memory.max", "max", "memory_max_bytes", MAX),
        ("memory.max", "64", "memory_max_bytes", 64),
    ],
)  # fmt: skip
def test_a_limit_in_its_units(tmp_path: Path, file: str, content: str, field: str, value: object) -> None:
    group = made_cgroup(tmp_path, Version.V2, {file: f"{content}\n"})
    assert getattr(group.limits(), field) == value
    read = group.read(select("cpu.shares", "memory.max_bytes")).values
    assert field == "cpu_cores" or value in read.values()


def test_a_cgroup_that_is_gone(tmp_path: Path) -> None:
    group = made_cgroup(tmp_path, Version.V2, {"cpu.stat": "usage_usec 1\n"})
    gone, few = Cgroup(group._root, group._hierarchy, "/other"), Descriptors(1)
    methods: list[Callable[[], object]] = [gone.memory, gone.limits, gone.population]
    methods += [lambda: gone.reader(VITALS, few), lambda: gone.counters(few)]
    for method in methods:
        with pytest.raises(CgroupGone):
            method()
    assert few.used == 0


def test_processes_are_counted_with_those_of_cgroups_below(tmp_path: Path) -> None:
    assert made_cgroup(tmp_path, Version.V2, {"cgroup.procs": ""}).population() == Population(0, "", [])
    group = made_cgroup(tmp_path, Version.V2, {"in/cgroup.procs": "1\n2\n", "in/er/cgroup.procs": "3\n"})
    found = group.population()
    assert (found.number, len(found.pids), found.path) == (3, 2, str(tmp_path / "cg/c/in/cgroup.procs"))


def test_a_lean_set_reads_no_file_that_stands_still_without_a_quota(tmp_path: Path) -> None:
    names = ("cpu.quota_usec", "cpu.period_usec", "cpu.nr_throttled")
    files: dict[str, bytes | str] = {"cpu.cfs_period_us": "100000\n", "cpu.stat": "nr_throttled 2\n"}
    quota = tmp_path / "cg/c/cpu.cfs_quota_us"
    group = made_cgroup(tmp_path, Version.V1, {**files, "cpu.cfs_quota_us": "-1\n"})
    assert [*group.read(select(*names)).values.values()] == [MAX, 100000, 2]
    assert group.read(select(*names, lean=True)) == ({**dict.fromkeys(names), "cpu.quota_usec": MAX}, ())
    quota.write_text("50000\n")
    assert [*group.read(select(*names, lean=True)).values.values()] == [50000, 100000, 2]
    group = made_cgroup(
        tmp_path / "v2", Version.V2, {"cpu.max": "max 100000\n", "cpu.stat": "usage_usec 1\nnr_throttled 2\n"}
    )
    found = group.read(select("cpu.usage_nsec", *names, lean=True))
    assert [*found.values.values()] == [1000, MAX, 100000, 2], "it is in a file that is read anyway"


NEEDING = ("cpu.quota_usec", "cpu.period_usec", "cpu.nr_periods", "cpu.nr_throttled", "cpu.throttled_nsec")


def test_in_whatever_order_they_are_wanted_a_lean_set_reads_the_fields_that_need_a_quota(tmp_path: Path) -> None:
    """On v1 the quota is a file of its own: a set that had it last did not read what needs it."""
    counts = "nr_periods 9\nnr_throttled 2\nthrottled_time 5000\n"
    files: dict[str, bytes | str] = {
        "cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n", "cpu.stat": counts
    }  # fmt: skip
    group = made_cgroup(tmp_path, Version.V1, files)
    whole = dict(zip(NEEDING, (50000, 100000, 9, 2, 5000), strict=True))
    wrong = [names for names in permutations(NEEDING) if group.read(select(*names, lean=True)) != (whole, ())]
    assert wrong == []


def test_what_a_field_needs_is_read_before_it() -> None:
    """It is one file of the same controller, hence of the same tree, and needs nothing itself."""
    needing = [field for field in FIELDS.values() if field.needs]
    assert len(needing) == len(NEEDING) - 1
    for field in needing:
        need = FIELDS[field.needs]
        assert need.controller == field.controller and not need.needs
        for version in Version:
            place = need.place(version)
            assert place is not None and place.rule is None


def test_a_lean_set_gives_no_reason_for_what_the_host_s_interface_does_not_have(tmp_path: Path) -> None:
    group = made_cgroup(tmp_path, Version.V1, {"memory.usage_in_bytes": "5\n"})
    names = ("memory.usage_bytes", "memory.high_bytes", "memory.peak_bytes")
    values = {**dict.fromkeys(names), "memory.usage_bytes": 5}
    for lean, absent in (False, ["memory.peak_bytes", "memory.high_bytes"]), (True, ["memory.peak_bytes"]):
        found = group.read(select(*names, lean=lean))
        assert (found.values, [each.field for each in found.missing]) == (values, absent)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is opened from now on."""
    names: list[str] = []
    original = os.open

    def noted(path: str, *a: Any, **k: Any) -> int:
        names.append(os.path.basename(path))
        return original(path, *a, **k)

    monkeypatch.setattr(os, "open", noted)
    return names


@pytest.mark.parametrize("limit", [None, 100, 0])
def test_what_is_read_together_opens_each_directory_once_and_leaves_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    files: dict[str, bytes | str] = {"memory.current": "5\n", "memory.peak": "7\n", "cgroup.procs": "1\n2\n"}
    made_cgroup(tmp_path, Version.V2, files)
    mounts = [Mount(point, "/", Version.V2, frozenset({name})) for point, name in (("/cg", "memory"), ("/no", "pids"))]
    hierarchy = Hierarchy("unified", (("memory", mounts[0]), ("pids", mounts[1])), tuple(mounts))
    budget = None if limit is None else Descriptors(limit)
    group = Cgroup(Root(str(tmp_path)), hierarchy, "/c", descriptors=budget)
    before, names = len(open_descriptors()), opened(monkeypatch)
    with group.together():
        assert group.read(select("memory.usage_bytes", "pids.current")).values == {
            "memory.usage_bytes": 5,
            "pids.current": None,
        }
        assert group.read(select("memory.peak_bytes", "pids.current")).values["memory.peak_bytes"] == 7
        assert group.population().number == 2
    assert names == ["c", "c", "memory.current", "memory.peak", "cgroup.procs"], "each tree is asked for it once"
    assert len(open_descriptors()) - before == (limit == 100)
    group.read(select("pids.current", "memory.peak_bytes"))
    assert names[5:] == (["c", "memory.peak"] if limit == 100 else ["c", "c", "memory.peak"]), "nothing is remembered"
    group.close()
    assert len(open_descriptors()) == before


def test_what_is_read_together_is_closed_where_the_cgroup_goes_meanwhile(tmp_path: Path) -> None:
    group = made_cgroup(tmp_path, Version.V2, {"memory.current": "5\n"})
    before = len(open_descriptors())
    with pytest.raises(CgroupGone), group.together():
        group.read(select("memory.usage_bytes"))
        os.rename(tmp_path / "cg/c", tmp_path / "cg/old")
        group.read(select("memory.peak_bytes"))
    assert len(open_descriptors()) == before


@pytest.mark.parametrize("limit", [100, 3, 0])
def test_directories_stay_open_while_half_of_the_descriptors_are_free_and_until_it_is_closed(
    tmp_path: Path, limit: int
) -> None:
    made_cgroup(tmp_path, Version.V2, {"memory.current": "1\n"})
    mount = Mount("/cg", "/", Version.V2, frozenset({"memory"}))
    before, budget = len(open_descriptors()), Descriptors(limit)
    hierarchy = Hierarchy("unified", (("memory", mount),), (mount,))
    group = Cgroup(Root(str(tmp_path)), hierarchy, "/c", descriptors=budget)
    wanted = select("memory.usage_bytes", "memory.peak_bytes")
    for value in (1, 2):
        (tmp_path / "cg/c/memory.current").write_text(f"{value}\n")
        assert group.read(wanted).values["memory.usage_bytes"] == value
        assert budget.used == (limit > 1) == len(open_descriptors()) - before
    os.rename(tmp_path / "cg/c", tmp_path / "cg/old")
    made_cgroup(tmp_path, Version.V2, {"memory.current": "3\n", "memory.peak": "3\n"})
    if limit > 1:
        with pytest.raises(CgroupGone):
            group.read(wanted)  # what it has kept is another cgroup than the one that is there now
    group.close()
    group.close()
    assert (budget.used, len(open_descriptors())) == (0, before)
    assert group.read(wanted).values["memory.usage_bytes"] == 3
    assert budget.used == 0, "closed is closed"


def test_what_the_counters_keep_open_is_not_opened_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, bytes | str] = {"cpu.stat": "usage_usec 1\n", "memory.current": "5\n", "memory.peak": "7\n"}
    group = made_cgroup(tmp_path, Version.V2, files)
    wanted = select("cpu.usage_nsec", "memory.usage_bytes", "memory.peak_bytes")
    counters = group.counters(Descriptors(9))
    names = opened(monkeypatch)
    assert list(group.read(wanted).values.values()) == [1000, 5, 7]
    assert names == ["c", "memory.peak"]
    counters.close()
    (tmp_path / "cg/c/memory.current").write_text("6\n")
    assert list(group.read(wanted).values.values()) == [1000, 6, 7]
    assert names[2:] == ["c", "cpu.stat", "memory.current", "memory.peak"]
