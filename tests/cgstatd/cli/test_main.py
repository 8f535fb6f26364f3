"""The command line as a process: what it prints, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cgstatd.cli.main import make_parser
from cgstatd.outputs.table import binary_size, decimal_size
from fakehost import MEM_TOTAL, FakeHost, container_id
from helpers import HOSTS, UNIFIED, expected
from recordedhosts import recorded_host
from wire import COMMAND, ENVIRONMENT, run

PLAYED = recorded_host(UNIFIED)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """Two running containers and a paused one."""
    host = FakeHost(tmp_path / "host")
    host.add("web", memory=3 << 20, cache=1 << 20, limit=str(64 << 20), rx=999_500, tx=123_456, read=0, written=1570)
    host.add("database-of-the-shop", memory=5000, cache=0)
    host.add("paused", frozen=True)
    return host


@pytest.fixture
def recorded(host: FakeHost, tmp_path: Path) -> str:
    """The host as a recorded tree."""
    host.on_disk("old", limit=128 << 20)
    return host.record(tmp_path / "recorded")


def rows(out: str) -> dict[str, list[str]]:
    """name -> cells; every row's cells begin where the header's do, as text/tabwriter aligns them."""
    header, *lines = out.splitlines()
    starts = [match.start() for match in re.finditer(r"(?:(?<=^)|(?<=  ))\S", header)]
    widths = [end - start for start, end in pairwise(starts)]
    found = {}
    cells = [[line[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in [header, *lines]]
    for row in cells[1:]:
        found[row[1].rstrip()] = [cell.rstrip() for cell in row]
    for n, width in enumerate(widths):
        assert width == max(10, *(len(row[n].rstrip()) + 3 for row in cells)), header
    return found


# -- the table


def test_the_table_is_dockers_to_the_byte(recorded: str) -> None:
    ran = run("stats", "--host-root", recorded)
    assert (ran.returncode, ran.stderr) == (0, "")
    shop, paused, web = (container_id(name)[:12] for name in ("database-of-the-shop", "paused", "web"))
    assert ran.stdout == (
        "CONTAINER ID   NAME                   CPU %     MEM USAGE / LIMIT   MEM %     NET I/O           "
        "BLOCK I/O        PIDS      RUNTIME\n"
        f"{shop}   database-of-the-shop   0.00%     4.883KiB / 4GiB     0.00%     1kB / 500B        "
        "4.1kB / 8.19kB   1         docker\n"
        f"{paused}   paused                 0.00%     2MiB / 4GiB         0.05%     1kB / 500B        "
        "4.1kB / 8.19kB   1         docker\n"
        f"{web}   web                    0.00%     2MiB / 64MiB        3.12%     1e+03kB / 123kB   "
        "0B / 1.57kB      1         docker\n"
    )


@pytest.mark.parametrize("name", HOSTS)
def test_a_recorded_hosts_table_has_the_engines_figures(name: str) -> None:
    ran = run("stats", "--host-root", recorded_host(name))
    assert (ran.returncode, ran.stderr) == (0, "")
    found, checked = rows(ran.stdout), 0
    for entry in expected(name)["containers"]:
        figures = entry.get("t1")
        if entry["runtime"] != "docker" or not figures or entry["state"] not in ("running", "paused"):
            continue
        inexact = figures.get("inexact", {})
        _, _, _, memory, _, network, block, pids, runtime = found[entry["name"]]
        assert runtime == "docker" and pids == str(figures["pids"])
        if not {"memoryUsage", "memoryLimit"} & inexact.keys():
            assert memory == f"{binary_size(figures['memoryUsage'])} / {binary_size(figures['memoryLimit'])}"
        # a namespace is read once: its figure is that of the process of whichever container came first
        if entry["name"] not in ("web", "sidecar") and not {"networkRx", "networkTx"} & inexact.keys():
            assert network == f"{decimal_size(figures['networkRx'])} / {decimal_size(figures['networkTx'])}"
        if not {"blockRead", "blockWrite"} & inexact.keys():
            assert block == f"{decimal_size(figures['blockRead'])} / {decimal_size(figures['blockWrite'])}"
        checked += 1
    assert checked >= 10
    assert list(found) == sorted(found)
    if name == UNIFIED:  # what was used between its readings
        assert float(found["burn"][2].rstrip("%")) > 10 and found["idle-renamed"][2] == "0.00%"


# -- which containers


WEB = container_id("web")
NOBODY = "cgstatd: no container fits 'nobody' (cgstatd stats --all lists them)\n"
HOSTILE_NAME = "cgstatd: no container fits '\\x1b[2J\\nx' (cgstatd stats --all lists them)\n"


@pytest.mark.parametrize(
    ("names", "shown", "said"),
    [
        *((name, ["web"], "") for name in ("web", WEB, WEB[:12], WEB[:5], "docker:web")),
        (("web", WEB, "paused"), ["paused", "web"], ""),
        ("old", ["old"], ""),
        (("nobody", "web"), ["web"], NOBODY),
        ("nobody", None, NOBODY),
        ("\x1b[2J\nx", None, HOSTILE_NAME),
    ],
)
def test_names_pick_containers_once_each_and_what_fits_none_is_said(
    recorded: str, names: str | tuple[str, ...], shown: list[str] | None, said: str
) -> None:
    ran = run("stats", "--host-root", recorded, *([names] if isinstance(names, str) else names))
    assert (ran.returncode, ran.stderr) == (int(bool(said)), said)
    assert (list(rows(ran.stdout)) if shown else ran.stdout) == (shown or "")


def test_an_ambiguous_name_is_exit_code_1_and_names_the_candidates(host: FakeHost, tmp_path: Path) -> None:
    first, second = host.on_disk("one", shown="twin"), host.on_disk("two", shown="twin")
    ran = run("stats", "--host-root", host.record(tmp_path / "r"), "twin")
    assert ran.returncode == 1 and ran.stdout == ""
    [sentence] = ran.stderr.splitlines()
    assert "ambiguous: twin fits" in sentence and first[:12] in sentence and second[:12] in sentence


def test_all_shows_stopped_containers_with_zeros_and_their_limit(recorded: str) -> None:
    assert "old" not in rows(run("stats", "--host-root", recorded).stdout)
    for option in ("--all", "-a"):
        found = rows(run("stats", "--host-root", recorded, option).stdout)
        assert found["old"][2:8] == ["0.00%", "0B / 128MiB", "0.00%", "0B / 0B", "0B / 0B", "0"]


def test_a_host_without_containers_has_the_header_alone_and_says_so(tmp_path: Path) -> None:
    empty = FakeHost(tmp_path / "host").record(tmp_path / "r")
    ran = run("stats", "--host-root", empty)
    assert (ran.returncode, ran.stderr) == (0, "no container is running\n")
    assert ran.stdout.splitlines() == [
        "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O   BLOCK I/O   PIDS      RUNTIME"
    ]
    ran = run("stats", "--format", "json", "--host-root", empty)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


# -- JSON


def test_format_json_is_one_object_a_line(recorded: str) -> None:
    ran = run("stats", "--host-root", recorded, "--format", "json", "--all")
    assert ran.returncode == 0
    found = {line["name"]: line for line in map(json.loads, ran.stdout.splitlines())}
    assert set(found) == {"web", "database-of-the-shop", "paused", "old"}
    assert found["web"] == {
        "id": container_id("web"),
        "name": "web",
        "runtime": "docker",
        "state": "running",
        "ownerUid": 0,
        "cpuPercent": 0.0,
        "memoryUsage": 2 << 20,
        "memoryRaw": 3 << 20,
        "memoryCache": 1 << 20,
        "memoryLimit": 64 << 20,
        "memoryPercent": 3.13,
        "networkRx": 999_500,
        "networkTx": 123_456,
        "blockRead": 0,
        "blockWrite": 1570,
        "pids": 1,
        "timestamp": 1,
    }
    assert found["paused"]["state"] == "paused" and found["old"]["memoryLimit"] == 128 << 20
    assert found["paused"]["memoryLimit"] == MEM_TOTAL


# -- what goes wrong


def test_an_index_that_cannot_be_used_is_exit_code_2_with_one_sentence(recorded: str) -> None:
    Path(recorded, "index.json").write_text("{")
    ran = run("stats", "--host-root", recorded)
    assert (ran.returncode, ran.stdout) == (2, "")
    [sentence] = ran.stderr.splitlines()
    assert f"{recorded}/index.json: " in sentence


def test_a_container_that_cannot_be_read_is_left_out_with_a_sentence(host: FakeHost, tmp_path: Path) -> None:
    host.make_unreadable("web", "memory.current")
    ran = run("stats", "--host-root", host.record(tmp_path / "r"))
    assert ran.returncode == 0
    assert set(rows(ran.stdout)) == {"database-of-the-shop", "paused"}
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith(f"level=warning container={container_id('web')[:12]} left out: cannot read memory: ")


def test_a_host_whose_cgroups_cannot_be_listed_is_exit_code_2_with_one_sentence(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may list everything")
    host = FakeHost(tmp_path / "host")
    (host.path / "sys/fs/cgroup").chmod(0o311)
    ran = run("stats", "--host-root", str(host.path))
    *logged, sentence = ran.stderr.splitlines()
    assert ran.returncode == 2 and sentence.startswith("cgstatd: cannot list the containers: ")
    assert logged == ["level=warning cannot list /sys/fs/cgroup: Permission denied"]


# -- hostile names


HOSTILE = {
    "escape": "\x1b[2J\x1b]0;title\x07red",
    "lines": "a\nb\rc\x0bd",
    "unicode": "bücher-名前",
    "bidi": "a\u202eb\u200b",
    "nul": "a\0b",
    "long": "x" * 3000,
}


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """Running and stopped containers with names that mean harm."""
    host = FakeHost(tmp_path / "host")
    for name, shown in HOSTILE.items():
        host.add(name)
        host.on_disk(name, running=True, shown=shown)
        host.on_disk(f"stopped-{name}", shown=f"stopped-{shown}")
    return host.record(tmp_path / "recorded")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("locale", [{"LC_ALL": "C.UTF-8"}, ASCII], ids=["UTF-8", "ASCII"])
def test_hostile_names_are_harmless_on_any_terminal(hostile: str, locale: dict[str, str]) -> None:
    command = [*COMMAND, "stats", "--all", "--host-root", hostile]
    ran = subprocess.run(command, capture_output=True, env=ENVIRONMENT | locale, encoding="utf-8", check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert len(lines) == 1 + 2 * len(HOSTILE)
    assert all(line.isprintable() for line in lines)
    assert ran.stdout.isascii() or "UTF-8" in locale["LC_ALL"]
    assert "bücher-名前" in ran.stdout or "b\\xfccher-\\u540d\\u524d" in ran.stdout
    assert max(map(len, lines)) < 1000


def test_hostile_names_are_harmless_in_json(hostile: str) -> None:
    ran = run("stats", "--all", "--format", "json", "--host-root", hostile)
    found = [json.loads(line)["name"] for line in ran.stdout.splitlines()]
    assert len(found) == 2 * len(HOSTILE) and all(name.isprintable() for name in found)


# -- watching


def watch(*options: str, enough: Callable[[bytes], bool], terminal: bool = False) -> tuple[int, str, str]:
    """(exit code, output, errors) of stats --watch that is interrupted once it has said enough."""
    out, ours = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen(
        [*COMMAND, "stats", "--watch", "--interval", "0.2", *options],
        stdout=ours,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        os.close(ours)
        seen = b""
        while not enough(seen):
            seen += os.read(out, 65536)
        process.send_signal(signal.SIGINT)
        try:
            while part := os.read(out, 65536):
                seen += part
        except OSError:  # EIO: the other end of a terminal is closed
            pass
        os.close(out)
        _, err = process.communicate()
    return process.returncode, seen.decode(), err.decode()


def test_watch_refreshes_until_it_is_interrupted() -> None:
    code, out, err = watch("--host-root", PLAYED, enough=lambda seen: seen.count(b"CONTAINER ID") >= 3)
    assert (code, err) == (130, "")
    assert "\x1b" not in out


def test_watch_on_a_terminal_starts_at_its_top_each_time() -> None:
    code, out, err = watch(
        "--host-root", PLAYED, "burn", enough=lambda seen: seen.count(b"CONTAINER ID") >= 2, terminal=True
    )
    assert (code, err) == (130, "")
    assert out.startswith("\x1b[H\x1b[J") and out.count("\x1b[H\x1b[J") == out.count("CONTAINER ID")


def test_watch_as_json_is_lines(recorded: str) -> None:
    code, out, err = watch("--host-root", recorded, "--format", "json", enough=lambda seen: seen.count(b"\n") >= 6)
    assert (code, err) == (130, "")
    assert {json.loads(line)["name"] for line in out.splitlines()} == {"web", "database-of-the-shop", "paused"}


def test_interrupting_before_the_first_table_is_no_stack_trace() -> None:
    with subprocess.Popen(
        [*COMMAND, "stats", "--watch", "--interval", "30", "--host-root", PLAYED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        encoding="utf-8",
    ) as process:
        while len(os.listdir(f"/proc/{process.pid}/task")) == 1:  # the host is not played on yet
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "") and "Traceback" not in err


# -- help and version


def parsers(parser: argparse.ArgumentParser, name: str = "cgstatd") -> dict[str, argparse.ArgumentParser]:
    found = {name: parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, each in action.choices.items():
                found |= parsers(each, f"{name} {command}")
    return found


@pytest.mark.parametrize("name", sorted(parsers(make_parser())))
def test_help_documents_every_option(name: str) -> None:
    parser = parsers(make_parser())[name]
    text = parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            documented = {choice.dest: choice.help for choice in action._choices_actions}
            assert set(documented) == set(action.choices) and all(documented.values())
            continue
        assert action.help, (name, action.option_strings or action.dest)
        for option in action.option_strings:
            assert option in text
        default: Any = action.default
        if action.option_strings and action.nargs != 0 and default not in (None, [], (), argparse.SUPPRESS):
            assert "default" in action.help, (name, action.option_strings)


def test_help_and_version_go_to_standard_output() -> None:
    ran = run("--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "serve" in ran.stdout and "stats" in ran.stdout and "record" in ran.stdout
    ran = run("--version")
    assert ran.returncode == 0 and re.fullmatch(r"cgstatd \d+\.\d+\.\d+\n", ran.stdout)


def test_it_runs_as_a_script_too() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; from cgstatd.cli.main import main; sys.exit(main(['--version']))"],
        capture_output=True,
        env=ENVIRONMENT,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout[:8]) == (0, "cgstatd ")
