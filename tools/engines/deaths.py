"""Crash loops of a real dockerd for some minutes, and how many of the ends each part of the agent tells.

    python tools/engines/deaths.py --host unix:///run/docker.sock [--minutes 25] [--image busybox]

It starts an agent of its own (the `cgstatd` beside this Python) with a webhook, and a history in memory and on disk. A
client of `follow` is there for some seconds each minute, and comes back with its Last-Event-ID. Containers:

    oom     --restart always, killed for want of memory after 20 s, restarted after 0.1 s
    fault   --restart always, signal 11 after 33 s
    second  exit 1 after a second, started again every 20 s
    burst   twenty that exit with 3 at once, every three minutes: their cgroups may be gone before the agent looks

Prints a table: the engine's own ends beside those of the webhook, of `follow` and of the history (then once more after
a restart of the agent, from the disk); exit code 1 where they are not equal, where an end has no code or another one,
or where `follow` or the history tells a start before the end before it. Needs root, and an image with a shell.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from endings import fault_program

AWAY_SECONDS, THERE_SECONDS = 50.0, 4.0
CODES = {"oom": 137, "fault": 139, "second": 1, "burst": 3}
BURST = 20


class Hook(BaseHTTPRequestHandler):
    """Counts the ends that the webhook is told."""

    ends: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        for each in json.loads(self.rfile.read(int(self.headers["content-length"])))["notifications"]:
            if each["type"] == "exit":
                self.ends[kind_of(each["name"])] += each["count"]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


PREFIX = f"deaths{os.getpid()}"


def kind_of(name: str) -> str:
    """Empty: it is none of ours."""
    prefix, _, rest = name.partition("-")
    return rest.partition("-")[0] if prefix == PREFIX else ""


class Agent:
    """An agent of its own."""

    def __init__(self, hook: int, directory: str, more: list[str]) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        config = Path(directory, "config.toml")
        config.write_text(f'notify_url = "http://127.0.0.1:{hook}/"\nhistory_dir = "{directory}/history"\n')
        program = str(Path(sys.executable).parent / "cgstatd")
        self.command = [program, "serve", "--config", str(config), "--listen", f"127.0.0.1:{self.port}", *more]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command)
        for _ in range(600):
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("/healthz")[0] == 200:
                    return
            time.sleep(0.1)
        raise SystemExit("the agent does not answer")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def ask(self, path: str) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def marks(self) -> list[tuple[str, Any]]:
        """Every mark of the history, in order."""
        found, cursor = list[tuple[str, Any]](), ""
        while True:
            _, *lines = map(json.loads, self.ask(f"/api/history?limit=1000&cursor={cursor}")[1].splitlines())
            if not lines:
                return found
            found += [(mark["event"], mark) for line in lines for mark in line["marks"]]
            cursor = lines[-1]["cursor"]


class Client:
    """Follows for some seconds each minute."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.last, self.events, self.missed = agent, "", list[tuple[str, Any]](), list[str]()

    def run(self, seconds: float) -> None:
        headers = {"Last-Event-ID": self.last} if self.last else {}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.agent.port, timeout=30)) as connection:
            connection.request("GET", "/api/containers/stats/follow", headers=headers)
            answer, until, name, number = connection.getresponse(), time.monotonic() + seconds, "", ""
            for line in answer:
                word, _, rest = line.decode().strip().partition(": ")
                if word == "event":
                    name, number = rest, ""
                elif word == "id":
                    number = rest
                elif word == "data":
                    self._take(name, number, json.loads(rest))
                if time.monotonic() > until and name == "round":
                    return

    def _take(self, name: str, number: str, data: Any) -> None:
        self.last = number or self.last
        if name == "hello" and data["missed"]:
            self.missed.append(data["missed"])
        if name in ("start", "exit", "oom"):
            self.events.append((name, data))


class Docker:
    """The engine, by its command line, and its own events."""

    def __init__(self, host: str, image: str, fault: str) -> None:
        self.command, self.image, self.fault = ["docker", "-H", host], image, fault
        self.bursts = 0
        self.ends: Counter[str] = Counter()
        form = ["events", "--format", "{{json .}}", "--filter", "event=die"]
        self.events = subprocess.Popen([*self.command, *form], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.events.stdout is not None
        for line in self.events.stdout:
            name = json.loads(line)["Actor"]["Attributes"].get("name", "")
            self.ends[kind_of(name)] += 1

    def run(self, *arguments: str) -> str:
        return subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False).stdout.strip()

    def make(self, kind: str, script: str, *more: str) -> None:
        self.run("run", "-d", "--name", f"{PREFIX}-{kind}", "--network=none", *more, self.image, "sh", "-c", script)

    def begin(self) -> None:
        self.make("oom", "sleep 20; exec tail /dev/zero", "--restart=always", "--memory=64m", "--memory-swap=64m")
        self.make("fault", "sleep 33; exec /fault", "--restart=always", "-v", f"{self.fault}:/fault:ro")
        self.make("second", "sleep 1; exit 1")

    def burst(self) -> None:
        self.bursts += 1
        threads = [
            threading.Thread(target=self.make, args=(f"burst-{self.bursts}-{each}", "exit 3")) for each in range(BURST)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def end(self) -> None:
        """No more ends: the loops are stopped before their next one."""
        for kind in ("oom", "fault"):
            self.run("update", "--restart=no", f"{PREFIX}-{kind}")

    def remove(self) -> None:
        names = self.run("ps", "-aq", "--filter", f"name={PREFIX}").split()
        self.run("rm", "-f", *names)
        self.events.terminate()


def disordered(events: list[tuple[str, Any]]) -> int:
    """Starts that come before the end of the life before."""
    alive, wrong = dict[str, bool](), 0
    for event, data in events:
        if event == "start":
            wrong += alive.get(data["id"], False)
        if event != "oom":
            alive[data["id"]] = event == "start"
    return wrong


def table(docker: Docker, told: dict[str, list[tuple[str, Any]]]) -> bool:
    """Print it; whether all are equal."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for who, events in told.items():
        for event, data in events:
            kind = kind_of(data["name"])
            counts[who][kind][event] += 1
            counts[who][kind]["code"] += event == "exit" and data.get("exitCode") == CODES.get(kind)
    heads = ["", "engine's ends", "webhook"]
    heads += [f"{who}: {what}" for who in told for what in ("starts", "ends", "with the code", "OOM")]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    equal = True
    for kind in CODES:
        ends = docker.ends[kind]
        cells = [ends, Hook.ends[kind]]
        for who in told:
            found = counts[who][kind]
            cells += [found[each] for each in ("start", "exit", "code", "oom")]
            equal &= found["exit"] == found["code"] == ends and (kind != "oom" or found["oom"] == ends)
        equal &= Hook.ends[kind] == ends
        print(f"| {kind} | {' | '.join(map(str, cells))} |")
    for who, events in told.items():
        print(f"{who}: {disordered(events)} starts before the end of the life before")
    return equal and not any(map(disordered, told.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", required=True, help="dockerd's socket (unix://…)")
    parser.add_argument("--image", default="busybox")
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--keep", default="", help="a file for all that was told, as JSON")
    parser.add_argument("--agent-argument", action="append", default=[], help="for cgstatd serve")
    given = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as work, fault_program(work) as fault:
        Path(work, "history").mkdir(mode=0o700)
        agent = Agent(server.server_address[1], work, given.agent_argument)
        docker, client = Docker(given.host, given.image, fault), Client(agent)
        try:
            client.run(THERE_SECONDS)
            docker.begin()
            play(docker, client, time.monotonic() + 60 * given.minutes)
            docker.end()
            time.sleep(90)  # the last ends, a minute of the webhook's storms, and a round
            client.run(THERE_SECONDS)
            told = {"follow": client.events, "history": agent.marks()}
            agent.stop()
            agent.start()
            told["disk"] = agent.marks()
        finally:
            docker.remove()
            agent.stop()
    if given.keep:
        Path(given.keep).write_text(json.dumps(told))
    equal = table(docker, told)
    print("\n".join(client.missed))
    return 0 if equal and not client.missed else 1


def play(docker: Docker, client: Client, until: float) -> None:
    """What has no restart policy, and the client, until then."""
    started, burst, there = time.monotonic(), time.monotonic() + 30, time.monotonic() + AWAY_SECONDS
    while (now := time.monotonic()) < until:
        if now >= started + 20:
            started = now
            docker.run("start", f"{PREFIX}-second")
        if now >= burst:
            burst = now + 180
            docker.burst()
        if now >= there:
            client.run(THERE_SECONDS)
            there = time.monotonic() + AWAY_SECONDS
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
