"""The documents are true: their client examples are run against an agent, and what they name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import PROJECT, UNIFIED
from recordedhosts import recorded_host
from wire import ENVIRONMENT, Agent, agent

README = Path(PROJECT, "README.md").read_text("utf-8")
PAGES = {path.name: path.read_text("utf-8") for path in Path(PROJECT, "docs").glob("*.md")}
API, OPERATING = PAGES["http-api.md"], PAGES["operating.md"]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.S | re.M)
needs_jq = pytest.mark.skipif(
    not (shutil.which("jq") and shutil.which("curl")), reason="no jq and curl: apt install jq curl"
)


def examples(heading: str, language: str) -> list[str]:
    """The fenced blocks of a language below a heading of the page about the API."""
    [section] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^## |\Z)", API, re.S | re.M)
    return [code for kind, code in _FENCE.findall(section) if kind == language]


@pytest.fixture(scope="module")
def running() -> Iterator[Agent]:
    """An agent that plays a recorded host on."""
    with agent("--listen", "127.0.0.1:0", "--host-root", recorded_host(UNIFIED)) as running:
        yield running


def lines(command: list[str], seconds: float, least: int) -> list[str]:
    """What a command prints until there are enough lines; it is ended then."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT, encoding="utf-8"
    )
    assert process.stdout is not None
    found: list[str] = []
    try:
        for line in process.stdout:
            found.append(line.rstrip("\n"))
            if len(found) >= least:
                break
    finally:
        process.kill()
        process.wait(seconds)
        process.stdout.close()
    return found


def local(code: str, running: Agent) -> str:
    return code.replace("127.0.0.1:9713", f"127.0.0.1:{running.port}")


@needs_jq
def test_the_one_liner(running: Agent) -> None:
    [code] = [each for each in examples("Clients", "sh") if "while" not in each]
    ran = subprocess.run(
        ["sh", "-c", local(code, running)], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    found = dict(re.findall(r"^(\S+) ([\d.]+) %$", ran.stdout, re.MULTILINE))
    assert len(found) == len(ran.stdout.splitlines()) == 20 and {"burn", "shop-db-1"} <= set(found)


@needs_jq
def test_the_shell_loop(running: Agent) -> None:
    [code] = [each for each in examples("Clients", "sh") if "while" in each]
    code = local(code, running).replace("sleep 10", "sleep 0.2")
    code = code.replace("> 90", "> 0.3")  # nothing is that full on the recorded host
    found = lines(["sh", "-c", code], 20, 20)
    assert len(found) == 20 and len({line.split()[0] for line in found}) < 10  # several turns
    assert all(re.fullmatch(r"\S+ [\d.]+ %", line) for line in found), found


def test_the_python_client(running: Agent) -> None:
    [code] = examples("Clients", "python")
    found = lines([sys.executable, "-u", "-c", local(code, running)], 20, 30)
    assert len(found) == 30 and all(re.fullmatch(r"\S+ [\d.]+ (\d+|None)", line) for line in found), found
    assert found[0].endswith(" None")  # no rate in the first round


def test_the_route_table_names_every_route() -> None:
    from cgstatd.web.routes.table import ROUTES

    assert [route.path for route in ROUTES if f"`{route.method} {route.path}" not in API] == []


def test_the_settings_that_need_a_restart_are_named() -> None:
    from cgstatd.config.changed import RESTART

    [sentence] = re.findall(r"takes over what has changed there\. Only (.*?) need a restart", OPERATING, re.S)
    assert set(re.findall(r"`(\w+)`", sentence)) == RESTART


def test_every_command_is_named() -> None:
    from cgstatd.cli.main import _COMMANDS

    assert [name for name in _COMMANDS if f"cgstatd {name}" not in OPERATING] == []


def _documents() -> list[Path]:
    """Every page that people read."""
    root = Path(PROJECT)
    folders = (root, root / "docs", root / "fixtures")
    return [*(path for each in folders for path in each.glob("*.md")), *(root / "tests").rglob("*.md")]


def test_links_between_the_documents_lead_somewhere() -> None:
    missing = []
    for path in _documents():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if not (path.parent / target).exists():
                missing.append(f"{path.relative_to(PROJECT)}: {target}")
    assert missing == []


def test_the_changelog_has_the_version_with_its_date_and_each_kind_of_change_once() -> None:
    from cgstatd import __version__

    text = Path(PROJECT, "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[(.+?)\](?: - (.+))?$", text, re.M)
    assert versions[0][0] == __version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in versions)
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        kinds = re.findall(r"^### (.+)$", section, re.M)
        assert kinds == [kind for kind in ("Added", "Changed", "Fixed", "Security") if kind in kinds]


def test_each_change_of_the_next_release_has_a_kind_and_a_text() -> None:
    files = [path for path in Path(PROJECT, "docs/changes").iterdir() if path.name != "README.md"]
    kinds = "added|changed|fixed|security|removed"
    assert [path.name for path in files if not re.fullmatch(rf"\+[\w-]+\.({kinds})\.md", path.name)] == []
    assert all(path.read_text("utf-8").strip() for path in files)


def test_commands_can_be_pasted_into_zsh() -> None:
    """It takes no comment after a command where one types, and ``?``, ``[`` and ``(`` outside quotes for patterns."""
    found = []
    for path in _documents():
        name = path.relative_to(PROJECT)
        for language, code in _FENCE.findall(path.read_text("utf-8")):
            if language == "sh":
                bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", code)
                found += [f"{name}: {line}" for line in bare.splitlines() if re.search(r"[?\[(]|(^|\s)#", line)]
    assert found == []


def test_the_architecture_names_files_that_exist() -> None:
    named = re.findall(r"`((?:agent|cgroups|tests)/[^`]+)`", PAGES["architecture.md"])
    assert len(named) > 15 and [name for name in named if not Path(PROJECT, name).exists()] == []
