"""What containerd's source alone has: nerdctl's names, and words that are ids: no path says so, its state does."""

from __future__ import annotations

import os

import pytest

from cgroupfs import Root
from cgstatd.host import runtimes
from cgstatd.host.runtimes.base import Match, Metadata
from cgstatd.host.runtimes.containerd import ContainerdSource, Tasks

from .conftest import Write
from .written import SANDBOX, TASK_ID, oci, task

NAMES = "/var/lib/nerdctl/1935db59/names/default"


def test_nerdctls_container_and_its_new_name(write: Write) -> None:
    write(task("default"), oci({"nerdctl/name": "web"}))
    write(f"{NAMES}/web", TASK_ID, mode=0o600)
    source = ContainerdSource(Root())
    assert [each.name for each in source.all()] == ["web"]
    os.rename(f"{NAMES}/web", f"{NAMES}/renamed")
    write(f"{NAMES}/web", SANDBOX)
    assert {each.id: each.name for each in source.all()} == {TASK_ID: "renamed", SANDBOX: "web"}


def test_nerdctls_stopped_container_has_its_name_alone(write: Write) -> None:
    write(f"{NAMES}/stopped", TASK_ID)
    write(f"{NAMES}/broken", "x")
    expected = Metadata(runtime="containerd", id=TASK_ID, name="stopped")
    source = ContainerdSource(Root())
    assert list(source.all()) == [expected] == [source.get(TASK_ID)] and source.get(SANDBOX) is None


def test_a_word_is_another_containers_in_another_namespace(write: Write) -> None:
    for path in (task("k8s.io", "web"), task("prod", "web"), task("prod")):
        write(path, oci(None))
    source = ContainerdSource(Root())
    assert sorted(each.id for each in source.all()) == [TASK_ID, "web@k8s.io", "web@prod"]
    found = source.get("web@prod")
    assert isinstance(found, Metadata) and (found.id, found.name) == ("web@prod", "web@prod")
    for wrong in ("web", "web@", "web@other", "@prod", "web@moby", "web@../prod", "web@prod@prod", "we b@prod"):
        assert source.get(wrong) is None, wrong


# -- words that are ids

TASKS = "io.containerd.runtime.v2.task"


@pytest.fixture
def tasks(write: Write) -> Tasks:
    for state, namespace, name in (
        ("/run/containerd", "prod", "web"), ("/run/k3s/containerd", "k8s.io", "box"), ("/run/containerd", "moby", "x"),
        ("/srv/state", "far", "off"), ("/run/containerd", "system.slice", "a.service"),
    ):  # fmt: skip
        write(f"{state}/{TASKS}/{namespace}/{name}/config.json", "{}")
    return Tasks(Root())


@pytest.mark.parametrize(
    ("parent", "name", "found"),
    [
        ("/prod", "web", "web@prod"), ("/k8s.io", "box", "box@k8s.io"), ("/default", "web", "web"),
        ("/prod", "other", None), ("/other", "web", None), ("/prod/deeper", "web", None), ("", "web", None),
        ("/moby", "x", None), ("/far", "off", None), ("/system.slice", "a.service", None), ("/..", "web", None),
        ("/prod", "..", None),
    ],
)  # fmt: skip
def test_a_word_is_an_id_where_there_is_a_task(tasks: Tasks, parent: str, name: str, found: str | None) -> None:
    wanted = None if found is None else Match("containerd", found)
    assert runtimes.match(parent, name, tasks=tasks) == wanted


def test_another_state_directory(tasks: Tasks) -> None:
    tasks.states.append("/srv/state")
    assert runtimes.match("/far", "off", tasks=tasks) == Match("containerd", "off@far")


def test_what_shims_name_is_looked_at_once_in_a_while(tasks: Tasks) -> None:
    asked, now = list[float](), [0.0]

    def states() -> list[str]:
        asked.append(now[0])
        return ["/srv/state", "/run/containerd"]

    found = Tasks(Root(), states, lambda: now[0])
    assert found.match("/prod", "web") == Match("containerd", "web@prod") and asked == []
    assert found.match("/far", "off") == Match("containerd", "off@far") and asked == [0.0]
    assert [found.match("/far", f"x{number}") for number in range(99)] == [None] * 99 and asked == [0.0]
    now[0] = 10.0
    assert found.match("/far", "x") is None and asked == [0.0, 10.0]
    assert found.states == ["/run/containerd", "/run/k3s/containerd", "/srv/state"]


def test_a_task_that_is_not_roots_is_none(write: Write) -> None:
    write(f"/run/containerd/{TASKS}/prod/web/config.json", "{}", uid=1000)

    os.chown(f"/run/containerd/{TASKS}/prod/web", 1000, 1000)
    assert runtimes.match("/prod", "web", tasks=Tasks(Root())) is None
