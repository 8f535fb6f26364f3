"""What sends metrics to a server, as it is shipped: a link that is cut and a restart meanwhile lose no scrape."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgstatd.doctor import forwarding
from helpers import PROJECT, UNIFIED
from recordedhosts import recorded_host
from secured import Tokens
from wire import agent

UNITS = Path(PROJECT, "systemd")
BINARIES = {name: shutil.which(name) for name in ("vmagent", "victoria-metrics", "prometheus")}
SERVICE = "http://127.0.0.1"


class Link:
    """A TCP connection that can be cut; counts the requests for metrics that go through it."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.up = True
        self.scrapes = 0
        self.answered = 0
        """Scrapes whose answer has come to its end (it is not compressed: its last family is known)."""
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self.up:
                    near.close()
                    continue
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._to)) as far:
            self._open |= {near, far}
            back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
            back.start()
            self._carry(near, far)
            back.join()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
                self.scrapes += data.count(b"GET /metrics ")
                self.answered += data.endswith(b"\n") and b"cgstatd_build_info" in data
        for each in (one, other):
            self._open.discard(each)
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Nothing goes through any more."""
        self.up = False
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._listener.close()


def until(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for it as long as the process runs; the test's own time limit is the only one."""
    while not what():
        assert process.poll() is None
        time.sleep(0.1)


class Victoria:
    """A real VictoriaMetrics on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [str(BINARIES["victoria-metrics"]), f"-storageDataPath={folder}/store", "-loggerLevel=ERROR",
                   f"-httpListenAddr=127.0.0.1:{self.port}", "-memory.allowedBytes=64MiB"]  # fmt: skip
        self.process = subprocess.Popen(command)

    def ask(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{SERVICE}:{self.port}{path}", timeout=60) as answer:
            body: bytes = answer.read()
            return body

    def samples(self, series: str = "cgstatd_containers") -> dict[tuple[str, str], set[int]]:
        """When the samples of a series were read (milliseconds), by instance and environment; by default of one that
        the agent has in every answer. What a link was cut from before it was acknowledged is sent, and kept, twice."""
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            self.ask("/internal/force_flush")
            lines = self.ask(f"/api/v1/export?match[]={urllib.parse.quote(series)}").splitlines()
            found = [json.loads(line) for line in lines]
            return {
                (each["metric"]["instance"], each["metric"]["env"]): {
                    when for when, value in zip(each["timestamps"], each["values"], strict=True) if value is not None
                }
                for each in found
            }
        return {}

    def up(self, until_ms: int) -> int:
        """How many scrapes until then had an answer in time, by the scraper's word."""
        lines = self.ask("/api/v1/export?match[]=up").splitlines()
        pairs = {
            pair for each in map(json.loads, lines) for pair in zip(each["timestamps"], each["values"], strict=True)
        }
        return sum(value == 1 for when, value in pairs if when <= until_ms)

    def count(self) -> int:
        return sum(map(len, self.samples().values()))


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[Victoria]:
    if BINARIES["victoria-metrics"] is None:
        pytest.skip("no victoria-metrics: apt install victoria-metrics")
    made = Victoria(tmp_path)
    yield made
    made.process.terminate()
    made.process.wait()


def unit_command() -> list[str]:
    """The unit's ExecStart."""
    text = (UNITS / "cgstatd-forward.service").read_text().replace("\\\n", "")
    found = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert found
    return found[1].split()


def between_scrapes(scraping: Link, process: subprocess.Popen[bytes]) -> None:
    """After one that began just now, and was answered."""
    before = scraping.answered
    until(lambda: scraping.answered > before, process)
    time.sleep(0.2)  # in which the answer is taken in


class Forwarder:
    """vmagent as the unit runs it, or Prometheus as the documentation does."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command, self._environment = command, environment
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, env=self._environment)

    def kill(self) -> None:
        """At the end of a test."""
        self.process.kill()
        self.process.wait()

    def stop(self, scraping: Link) -> None:
        """As systemd does."""
        between_scrapes(scraping, self.process)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def vmagent(folder: Path, scraping: Link, uplink: Link, secret: str) -> Forwarder:
    if BINARIES["vmagent"] is None:
        pytest.skip("no vmagent: apt install victoria-metrics")
    configuration = (UNITS / "forward.yml").read_text()
    assert "scrape_interval: 15s" in configuration and '["127.0.0.1:9713"]' in configuration
    configuration = configuration.replace("15s", "1s").replace("127.0.0.1:9713", f"127.0.0.1:{scraping.port}")
    (folder / "forward.yml").write_text(configuration)
    state = folder / "var/lib/private/cgstatd-forward"
    state.mkdir(parents=True)
    command = " ".join(unit_command())
    for path, ours in (("/usr/bin/vmagent", BINARIES["vmagent"]), ("/etc/cgstatd/forward.yml", folder / "forward.yml"),
                       ("/var/lib/cgstatd-forward", state)):  # fmt: skip
        assert path in command
        command = command.replace(path, str(ours))
    environment = {
        "CGSTATD_FORWARD_HOST": "edge-1",
        "CGSTATD_ENV_ID": "7",
        "CGSTATD_TOKEN": secret,
        "remoteWrite_url": f"{SERVICE}:{uplink.port}/api/v1/write",
        "loggerLevel": "ERROR",
    }
    return Forwarder(command.split(), environment)


def prometheus(folder: Path, scraping: Link, uplink: Link, secret: str) -> Forwarder:
    if BINARIES["prometheus"] is None:
        pytest.skip("no prometheus: apt install prometheus")
    text = Path(PROJECT, "docs/prometheus.md").read_text()
    found = re.search(r"```yaml\n(# forward-prometheus.yml\n.*?)```", text, re.DOTALL)
    assert found
    (folder / "token").write_text(secret)
    configuration = found[1]
    for theirs, ours in (("15s", "1s"), ("127.0.0.1:9713", f"127.0.0.1:{scraping.port}"), ("web-01", "edge-1"),
                         ('env: "1"', 'env: "7"'),
                         ("/run/credentials/cgstatd-forward.service/token", str(folder / "token")),
                         ("https://metrics.example.org", f"{SERVICE}:{uplink.port}")):  # fmt: skip
        assert theirs in configuration, theirs
        configuration = configuration.replace(theirs, ours)
    (folder / "forward-prometheus.yml").write_text(configuration)
    line = re.search(r"^ExecStart=(/usr/bin/prometheus .*?[^\\])$", text, re.MULTILINE | re.DOTALL)
    assert line
    command = line[1].replace("\\\n", "")
    for path, ours in (("/usr/bin/prometheus", BINARIES["prometheus"]), ("/var/lib/cgstatd-forward", f"{folder}/wal"),
                       ("/etc/cgstatd/forward-prometheus.yml", f"{folder}/forward-prometheus.yml")):  # fmt: skip
        assert path in command, path
        command = command.replace(path, ours)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = re.sub(r"--web.listen-address=\S+", f"--web.listen-address=127.0.0.1:{port}", command)
    return Forwarder([*command.split(), "--log.level=error"], dict(os.environ))


@pytest.mark.parametrize(("made", "restart"), [(vmagent, True), (prometheus, False)])
def test_a_link_that_is_cut_loses_no_scrape(
    tmp_path: Path, victoria: Victoria, made: Callable[[Path, Link, Link, str], Forwarder], restart: bool
) -> None:
    """Ten scrapes with the link down, a restart of vmagent, five more; then the link is back."""
    (tmp_path / "etc").mkdir()
    secret = Tokens(tmp_path / "etc").new("forward", (7,), ["metrics:view"])
    options = ("--listen", "127.0.0.1:0", "--host-root", recorded_host(UNIFIED), "--env-id", "7",
               "--tokens", f"{tmp_path}/etc/tokens.json")  # fmt: skip
    with contextlib.ExitStack() as stack:
        scraping = Link(stack.enter_context(agent(*options)).port)
        uplink = Link(victoria.port)
        stack.callback(scraping.close)
        stack.callback(uplink.close)
        forwarder = made(tmp_path, scraping, uplink, secret)
        stack.callback(forwarder.kill)
        until(lambda: victoria.count() >= 3, forwarder.process)
        uplink.cut()
        down = scraping.scrapes
        until(lambda: scraping.scrapes >= down + 10, forwarder.process)
        before = victoria.count()
        if restart:
            forwarder.stop(scraping)
            forwarder.start()
        again = scraping.scrapes
        until(lambda: scraping.scrapes >= again + 5, forwarder.process)
        assert victoria.count() == before, "the link is down"
        uplink.up = True
        until(lambda: victoria.count() > before, forwarder.process)
        between_scrapes(scraping, forwarder.process)
        scraping.cut()  # what is read by now is all that there is to send
        cut = time.time_ns() // 1_000_000

        def kept(series: str) -> set[int]:
            return {when for each in victoria.samples(series).values() for when in each if when <= cut}

        # ``up`` is the scraper's own of each scrape: 0 where it waited for the answer in vain, on a busy machine.
        until(lambda: len(kept("up")) >= scraping.scrapes, forwarder.process)
        (key,) = victoria.samples()
        assert key == ("edge-1", "7")
        found, came = kept("cgstatd_containers"), kept("up")
        print(f"{scraping.scrapes} scrapes, {len(found)} in the store, link down for {scraping.scrapes - down}")
        assert len(came) == scraping.scrapes
        assert len(found) == victoria.up(cut) and found <= came


def test_the_doctor_sees_what_waits_for_the_server(tmp_path: Path, victoria: Victoria) -> None:
    """vmagent's own queue, on the disk."""
    (tmp_path / "etc/cgstatd").mkdir(parents=True)
    (tmp_path / "etc/cgstatd/forward.env").write_text("")
    (tmp_path / "sys/fs/cgroup/system.slice/cgstatd-forward.service").mkdir(parents=True)
    places = forwarding.Places(str(tmp_path))
    with contextlib.ExitStack() as stack:
        options = ("--listen", "127.0.0.1:0", "--host-root", recorded_host(UNIFIED))
        scraping, uplink = Link(stack.enter_context(agent(*options)).port), Link(victoria.port)
        uplink.cut()
        forwarder = vmagent(tmp_path, scraping, uplink, "")
        stack.callback(forwarder.kill)
        (said,) = forwarding.findings(places)
        assert said.level == "ok" and "nothing waits" in said.what
        until(lambda: scraping.scrapes >= 2, forwarder.process)
        forwarder.stop(scraping)
        (said,) = forwarding.findings(places)
        assert said.level == "note" and re.search(r"\d\.\d MiB wait on disk", said.what), said
        uplink.up = True
        forwarder.start()
        until(lambda: victoria.count() > 2, forwarder.process)
        forwarder.stop(scraping)
        (said,) = forwarding.findings(places)
        assert said.level == "ok"
