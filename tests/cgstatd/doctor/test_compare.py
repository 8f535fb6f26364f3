"""The comparison with an engine, made of a socket that answers as Docker does."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from cgstatd.doctor.command import diagnose
from cgstatd.doctor.findings import Section
from cgstatd.sampling.open_host import HostOptions
from fakehost import FakeHost, container_id

MEMORY = {"usage": 3 << 20, "stats": {"inactive_file": 1 << 20}}
NETWORKS = {"eth0": {"rx_bytes": 1000, "tx_bytes": 500}}
BLOCK = {"io_service_bytes_recursive": [{"op": "read", "value": 4096}, {"op": "write", "value": 8192}]}


class Engine:
    """Answers on ``path``; a test changes what."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.containers: list[dict[str, Any]] = [{"Id": container_id("web"), "Names": ["/web"]}]
        self.stats: dict[str, Any] = {"memory_stats": MEMORY, "networks": NETWORKS, "blkio_stats": BLOCK}
        self.status = 200
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(engine.containers if self.path == "/containers/json" else engine.stats).encode()
                self.send_response(engine.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                pass

            def address_string(self) -> str:
                return "unix"

        self._server = socketserver.ThreadingUnixStreamServer(path, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(str(tmp_path / "s"))
    yield engine
    engine.close()


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    host = FakeHost(tmp_path / "host")
    host.add("web", memory=3 << 20, cache=1 << 20, rx=1000, tx=500, read=4096, written=8192)
    return host.record(tmp_path / "recorded")


def compared(recorded: str, socket: str) -> Section:
    """The section of the comparison."""
    return diagnose(recorded, HostOptions(), socket).sections[-1]


def test_equal_figures_agree(recorded: str, engine: Engine) -> None:
    section = compared(recorded, engine.path)
    assert section.title == f"Compared with the engine at {engine.path}"
    assert [(f.level, f.what) for f in section.findings] == [
        ("ok", "1 container with the same memory, network and block I/O")
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("memory_stats", {"usage": 9 << 20, "stats": {}}, "web: memory 2097152, the engine 9437184"),
        ("networks", {"eth0": {"rx_bytes": 1, "tx_bytes": 500}}, "web: received 1000, the engine 1"),
        ("networks", None, "web: received 1000, the engine 0; sent 500, the engine 0"),
        ("blkio_stats", {}, "web: read 4096, the engine 0; written 8192, the engine 0"),
    ],
)
def test_what_differs_is_named(recorded: str, engine: Engine, key: str, value: object, words: str) -> None:
    engine.stats[key] = value
    assert compared(recorded, f"unix://{engine.path}").findings[0].what == words


def test_v1s_own_page_cache_is_none_of_the_cgroups_below_it(recorded: str, engine: Engine) -> None:
    """As the docker CLI: the totals count."""
    engine.stats["memory_stats"] = {"usage": 3 << 20, "stats": {"inactive_file": 0, "total_inactive_file": 1 << 20}}
    assert compared(recorded, engine.path).findings[0].level == "ok"


def test_a_container_that_only_the_engine_has_costs_figures(recorded: str, engine: Engine) -> None:
    engine.containers.append({"Id": container_id("lost"), "Names": ["/lost"]})
    finding = compared(recorded, engine.path).findings[0]
    assert finding.level == "costs" and finding.what.startswith("lost: ")


@pytest.mark.parametrize("what", ["absent", "no socket", "error", "nonsense"])
def test_an_engine_that_cannot_be_asked_is_a_note(recorded: str, engine: Engine, tmp_path: Path, what: str) -> None:
    path = engine.path
    if what == "absent":
        path = "/no/such/socket"
    elif what == "no socket":
        path = str(tmp_path / "file")
        Path(path).write_text("")
    elif what == "error":
        engine.status = 500
    else:
        engine.containers = [{"Id": container_id("web"), "Names": 7}]
        engine.stats = {"memory_stats": 7}
    [finding] = compared(recorded, path).findings
    assert finding.level == "note" and finding.what.startswith("it cannot be asked: ")
