"""Labels of containers' series: written once, and anew when they are other ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata
from cgstatd.outputs.container_labels import WrittenLabels


def container(name: str, path: str = "/a", **labels: str) -> Any:
    metadata = Metadata("docker", "0" * 64, name, image="busybox", labels=labels)
    return SimpleNamespace(path=path, identity=Identity("0" * 64, name, "docker", 0, metadata))


def test_labels_are_written_once_and_anew_with_another_name_path_or_choice() -> None:
    written, web, db = WrittenLabels(), container("web", app="x"), container("db", "/b")
    first = written.of([web, db], ["app"])
    assert first == ['id="/a",name="web",image="busybox",container_label_app="x"', 'id="/b",name="db",image="busybox"']
    again = written.of([db, web], ["app"])
    assert [id(each) for each in again] == [id(each) for each in reversed(first)]
    web.identity = container("www", app="y").identity
    assert written.of([web], ["app"])[0] == 'id="/a",name="www",image="busybox",container_label_app="y"'
    assert written.of([web], [])[0] == 'id="/a",name="www",image="busybox"'
    web.path = "/c"
    assert written.of([web], [])[0] == 'id="/c",name="www",image="busybox"'
