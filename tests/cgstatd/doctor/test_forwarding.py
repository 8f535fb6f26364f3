"""What the doctor says of the unit that sends metrics to a server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cgstatd.doctor import forwarding
from cgstatd.doctor.findings import COSTS, NOTE, OK, Finding
from cgstatd.doctor.forwarding import CONFIGURED, QUEUES, UNIT, Places

V2, V1, HYBRID = "sys/fs/cgroup", "sys/fs/cgroup/systemd", "sys/fs/cgroup/unified"


def made(root: Path, path: str, content: str = "") -> Path:
    """A file of the host."""
    file = root / path.removeprefix("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def running(root: Path, hierarchy: str = V2) -> None:
    """A server is named, and the unit runs."""
    made(root, CONFIGURED)
    (root / hierarchy / "system.slice" / UNIT).mkdir(parents=True)


def found(root: Path) -> list[Finding]:
    return list(forwarding.findings(Places(str(root))))


def test_without_a_server_it_says_nothing(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_a_server_that_is_named_and_gets_nothing_costs(tmp_path: Path) -> None:
    made(tmp_path, CONFIGURED)
    (said,) = found(tmp_path)
    assert said.level == COSTS and said.costs == "the server gets nothing of this host"
    assert "systemctl enable --now cgstatd-forward" in said.todo


@pytest.mark.parametrize("hierarchy", [V2, V1, HYBRID])
def test_it_runs_where_it_has_a_cgroup(tmp_path: Path, hierarchy: str) -> None:
    running(tmp_path, hierarchy)
    (said,) = found(tmp_path)
    assert said.level == OK and said.what.endswith("nothing waits for the server on disk")


def test_what_waits_in_all_queues_is_added_up(tmp_path: Path) -> None:
    running(tmp_path)
    for name, read, written in (("1_A", 1 << 20, 3 << 20), ("2_B", 0, 1 << 19), ("3_C", 7, 7), ("4_D", 9, 2)):
        content = json.dumps({"Name": name, "ReaderOffset": read, "WriterOffset": written})
        made(tmp_path, f"{QUEUES}/{name}/metainfo.json", content)
    (said,) = found(tmp_path)
    assert (said.level, said.what) == (NOTE, "forwarding: 2.5 MiB wait on disk for the server")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"ReaderOffset":"x","WriterOffset":1}', '{"WriterOffset":1e99}', '{"x":' + "[" * 4000],
)
def test_a_queue_that_cannot_be_read_is_passed_over(tmp_path: Path, content: str) -> None:
    running(tmp_path)
    made(tmp_path, f"{QUEUES}/1_A/metainfo.json", content)
    made(tmp_path, f"{QUEUES}/2_B", "no directory")
    (tmp_path / f"{QUEUES}/3_C".lstrip("/")).mkdir()
    os.mkfifo(tmp_path / f"{QUEUES}/3_C/metainfo.json".lstrip("/"))
    (said,) = found(tmp_path)
    assert said.level == OK


def test_a_queue_that_another_user_must_not_see_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(tmp_path)

    def denied(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", denied)
    (said,) = found(tmp_path)
    assert said.level == NOTE and "Permission denied" in said.what
    assert said.todo == "sudo cgstatd doctor looks at its queue"
