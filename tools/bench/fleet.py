"""A thousand agents and one server on loopback: does every scrape succeed, and what does the server take?

    python tools/bench/fleet.py [-n 1000] [--minutes 5] [--interval 15] [--server victoria-metrics|prometheus]

Some agents are real processes that play recorded hosts (`--real`, 4). The others have an address of 127.0.0.0/8 each
and answer with the latest bytes of one of these, so that all values move as real ones do. The server is a real one,
with its defaults, and finds them through a file as in docs/prometheus.md. Then all but the real ones are gone for a
while (`--gone`, 60 s) and come back at once. With `--backlog N` each of them then also sends so many scrapes that it
kept.

Prints what a table of sizes needs. Exit code 1 where a scrape failed while all agents were there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/fixtures")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from agent import Agent
from clients import get
from measure import cpu_nsec, facts, rss_mb

from hostarchive import unpack

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
HOSTS = ("demo-hybrid-docker", "debian13-v2-systemd", "debian12kernel-v1-systemd", "debian12kernel-hybrid-docker")
METRICS = "/metrics"


def address(number: int) -> str:
    """Of one of the played agents."""
    return f"127.{number // 65_000 + 1}.{number // 250 % 250}.{number % 250 + 1}"


class Bodies:
    """The latest answers of the real agents, plain and compressed, brought up to date in a thread."""

    def __init__(self, ports: Sequence[int], every: float) -> None:
        self._ports, self._every = ports, every
        self._over = threading.Event()
        self.now: list[tuple[bytes, bytes]] = []
        self.refresh()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def refresh(self) -> None:
        plain = [get(port, METRICS) for port in self._ports]
        self.now = [(body, gzip.compress(body, 1)) for body in plain]

    def _run(self) -> None:
        while not self._over.wait(self._every):
            with contextlib.suppress(OSError):
                self.refresh()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


class Played:
    """Answers for many agents, each at an address of its own, in the event loop of a thread."""

    def __init__(self, count: int, bodies: Bodies) -> None:
        self.count = count
        self.answered = 0
        self.port = 0
        """The same at each address."""
        self._bodies = bodies
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.StreamWriter] = set()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def _do(self, what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(120)

    def start(self) -> None:
        """All of them listen."""
        self._do(self._start())

    async def _start(self) -> None:
        for number in range(self.count):
            sock = socket.create_server((address(number), self.port), backlog=8)
            self.port = sock.getsockname()[1]
            self._servers.append(await asyncio.start_server(self._serve(number), sock=sock))

    def gone(self) -> None:
        """None of them does, and what was connected is cut."""
        self._do(self._stop())

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        self._servers = []
        for client in list(self._clients):
            client.transport.abort()

    def _serve(self, number: int) -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._clients.add(writer)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    plain, packed = self._bodies.now[number % len(self._bodies.now)]
                    small = b"gzip" in head.lower()
                    body = packed if small else plain
                    coding = b"Content-Encoding: gzip\r\n" if small else b""
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                        b"%sContent-Length: %d\r\n\r\n" % (coding, len(body))
                    )
                    writer.write(body)
                    await writer.drain()
                    self.answered += 1
            self._clients.discard(writer)
            writer.close()

        return serve


@dataclass
class Server:
    """VictoriaMetrics or Prometheus; both answer Prometheus' API."""

    name: str
    folder: Path
    interval: float
    targets: Sequence[str]
    port: int = 0
    peak_mb: float = 0.0
    process: subprocess.Popen[bytes] = field(init=False)
    path: Path = field(init=False)

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.path = self.folder / "data"
        configuration = configured(self.folder, self.interval, self.targets)
        if self.name == "prometheus":
            flags = [f"--config.file={configuration}", f"--storage.tsdb.path={self.path}", "--log.level=error",
                     f"--web.listen-address=127.0.0.1:{self.port}"]  # fmt: skip
        else:
            flags = [f"-promscrape.config={configuration}", f"-storageDataPath={self.path}", "-loggerLevel=ERROR",
                     f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y"]  # fmt: skip
        self.process = subprocess.Popen([self.name, *flags])

    def query(self, expression: str) -> float:
        """The value of an instant query with one result; 0: there is none."""
        path = f"/api/v1/query?{urllib.parse.urlencode({'query': expression, 'latency_offset': '1s', 'nocache': '1'})}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = json.loads(get(self.port, path))["data"]["result"]
            return float(found[0]["value"][1]) if found else 0.0
        return 0.0

    def rss(self) -> float:
        """Resident megabytes; remembers the most."""
        now = rss_mb(self.process.pid)
        self.peak_mb = max(self.peak_mb, now)
        return now

    def disk_mb(self) -> float:
        """Blocks of all its files."""
        if self.name != "prometheus":
            get(self.port, "/internal/force_flush")
        files = (path for path in self.path.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_blocks * 512 for path in files) / 1e6

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def configured(folder: Path, interval: float, targets: Sequence[str]) -> Path:
    """The server's configuration, with its list of agents beside it."""
    (folder / "targets.yml").write_text(json.dumps([{"targets": list(targets), "labels": {"env": "1"}}]))
    jobs = [{"job_name": "cgstatd", "file_sd_configs": [{"files": [f"{folder}/targets.yml"]}]}]
    path = folder / "server.yml"
    seconds = f"{interval * 1000:.0f}ms"
    whole = {"global": {"scrape_interval": seconds, "scrape_timeout": seconds}, "scrape_configs": jobs}
    path.write_text(json.dumps(whole))  # JSON is YAML
    return path


@contextlib.contextmanager
def real_agents(count: int, folder: Path) -> Iterator[list[Agent]]:
    """Agents that play recorded hosts."""
    with contextlib.ExitStack() as stack:
        found = []
        for number in range(count):
            host = folder / f"host{number}"
            unpack(str(FIXTURES / f"{HOSTS[number % len(HOSTS)]}.txt"), str(host))
            agent = Agent(str(folder), options=["--host-root", str(host), "--history", "0"])
            stack.callback(agent.stop)
            found.append(agent)
        yield found


def wait(server: Server, seconds: float) -> None:
    """Time goes by, and the server's memory is looked at."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        server.rss()


def until_up(server: Server, count: int, seconds: float) -> float | None:
    """How long it takes until every agent's latest scrape has succeeded; None: it does not."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if server.query("count(up == 1)") >= count:
            return time.monotonic() - began
        wait(server, 0.5)
    return None


def send_backlog(server: Server, played: Played, bodies: Bodies, scrapes: int, interval: float) -> float:
    """Every played agent sends so many scrapes that it kept, all at once; seconds until the server took them."""
    began, now_ms = time.monotonic(), time.time_ns() // 1_000_000
    lock, left = threading.Lock(), iter(range(played.count * scrapes))

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            which, back = number % played.count, number // played.count + 1
            labels = [("instance", f"{address(which)}:{played.port}"), ("env", "1"), ("job", "cgstatd")]
            query = [("timestamp", str(now_ms - int(back * interval * 1000)))]
            query += [("extra_label", f"{name}={value}") for name, value in labels]
            path = f"/api/v1/import/prometheus?{urllib.parse.urlencode(query)}"
            packed = bodies.now[which % len(bodies.now)][1]
            connection.request("POST", path, packed, {"Content-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 204:
                raise SystemExit(f"the server refuses a backlog: {answer.status}")

    threads = [threading.Thread(target=send) for _ in range(64)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        wait(server, 0.2)
    return time.monotonic() - began


def play(arguments: argparse.Namespace, folder: Path) -> bool:
    """The whole run; whether no scrape failed while all agents were there."""
    with real_agents(arguments.real, folder) as agents, contextlib.ExitStack() as stack:
        bodies = Bodies([agent.port for agent in agents], arguments.interval)
        stack.callback(bodies.stop)
        played = Played(arguments.n - arguments.real, bodies)
        played.start()
        stack.callback(played.gone)
        targets = [f"127.0.0.1:{agent.port}" for agent in agents]
        targets += [f"{address(number)}:{played.port}" for number in range(played.count)]
        server = Server(arguments.server, folder, arguments.interval, targets)
        server.start()
        stack.callback(server.stop)
        took = until_up(server, arguments.n, 10 * arguments.interval + 60)
        if took is None:
            raise SystemExit(f"only {server.query('count(up == 1)'):.0f} agents are up")
        say("all up for the first time after", f"{took:.0f} s")
        cpu, disk, began = cpu_nsec([server.process.pid]), server.disk_mb(), time.monotonic()
        wait(server, arguments.minutes * 60)
        seconds = time.monotonic() - began
        window = f"{seconds:.0f}s"
        whole, good = (server.query(f"sum({kind}_over_time(up[{window}]))") for kind in ("count", "sum"))
        say("scrapes", f"{whole:.0f}")
        say("of these failed", f"{whole - good:.0f}")
        series = server.query("sum(scrape_samples_scraped)")
        say("series", f"{series:.0f} ({series / arguments.n:.0f} an agent)")
        say("server: CPU of one core", f"{(cpu_nsec([server.process.pid]) - cpu) / seconds / 1e7:.1f} %")
        say("server: resident", f"{server.rss():.0f} MB ({server.rss() / arguments.n:.2f} an agent)")
        grown = server.disk_mb() - disk
        day = grown / seconds * 86_400
        say("server: disk grew by", f"{grown:.1f} MB ({day / arguments.n:.2f} MB a day and agent)")
        say("server: bytes a sample", f"{grown * 1e6 / max(1.0, series * seconds / arguments.interval):.2f}")
        _come_back(arguments, server, played, bodies)
        return whole > 0 and whole == good


def _come_back(arguments: argparse.Namespace, server: Server, played: Played, bodies: Bodies) -> None:
    played.gone()
    wait(server, arguments.gone)
    say(f"gone for {arguments.gone:g} s: still up", f"{server.query('count(up == 1)'):.0f}")
    before, server.peak_mb = cpu_nsec([server.process.pid]), 0.0
    played.start()
    took = until_up(server, arguments.n, 10 * arguments.interval)
    say("back at once: all up after", "never" if took is None else f"{took:.0f} s")
    if arguments.backlog:
        seconds = send_backlog(server, played, bodies, arguments.backlog, arguments.interval)
        say(f"and {arguments.backlog} kept scrapes of each", f"taken in {seconds:.0f} s")
    say("server meanwhile: CPU time", f"{(cpu_nsec([server.process.pid]) - before) / 1e9:.1f} s")
    say("server meanwhile: resident, most", f"{server.peak_mb:.0f} MB")


def say(what: str, figure: str) -> None:
    """A line of the table."""
    print(f"| {what} | {figure} |", flush=True)


def main() -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=1000, help="agents (default: 1000)")
    parser.add_argument("--real", type=int, default=4, help="of these real processes (default: 4)")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--interval", type=float, default=15.0, help="seconds between scrapes (default: 15)")
    parser.add_argument("--gone", type=float, default=60.0, help="seconds (default: 60)")
    parser.add_argument("--backlog", type=int, default=0, help="scrapes that each then sends (victoria-metrics)")
    parser.add_argument("--server", choices=("victoria-metrics", "prometheus"), default="victoria-metrics")
    arguments = parser.parse_args()
    if not shutil.which(arguments.server):
        raise SystemExit(f"no {arguments.server}: apt install {arguments.server}")
    if arguments.backlog and arguments.server == "prometheus":
        raise SystemExit("--backlog: Prometheus takes no text; try victoria-metrics")
    with tempfile.TemporaryDirectory(prefix="cgstatd-fleet-") as folder:
        print(f"{facts()}\n\n| {arguments.n} agents, {arguments.server} | |\n|---|---|")
        right = play(arguments, Path(folder))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
