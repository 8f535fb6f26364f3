"""Plays crash loops on a real engine and compares the `exit` and `oom` events of `follow` with the engine's own.

    python tools/engines/crashloops.py docker [--host unix:///run/docker.sock] [--deaths 50] [--kind codes …]
    python tools/engines/crashloops.py podman [--engine-argument --cgroup-manager=cgroupfs …]

It starts an agent of its own (the `cgstatd` beside this Python) and one client that follows. Each life of a container
ends with another exit code, so that the code of another life is noticed. Kinds:

    codes  --restart always, 0.8 s, exit 1, 2, 3, …      fast  the same without the 0.8 s
    kill   --restart always, killed from the host        oom   --restart always, a memory limit and a process beyond it
    rm     --rm, 0.8 s, exit n; one after the other

Prints a table; exit code 1 where an exit code is another life's, where an exit that says `oomKilled` had no `oom`
before it or several, where a start comes before the end of the life before, or where more than one exit in fifty has
no code. Lives that `follow` never saw (they lived between two rounds) are counted only. Needs root and an image with a
shell (`--image`). Only this tool asks an engine; the agent never does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COUNT = "n=$(($(cat /n 2>/dev/null || echo 0) + 1)); echo $n > /n; "
KINDS = {
    "codes": (["--restart", "always"], COUNT + "sleep 0.8; exit $((n % 100 + 1))"),
    "fast": (["--restart", "always"], COUNT + "exit $((n % 100 + 1))"),
    "kill": (["--restart", "always"], "exec sleep 100000"),
    "oom": (["--restart", "always", "--memory", "16m"], "sleep 0.4; exec tail /dev/zero"),
    "rm": (["--rm"], "sleep 0.8; exit $0"),
}
WITHOUT_PIDFD = """
import sys
from cgstatd.cli import main as cli
from cgstatd.feed.follow import followed_container
from cgstatd.host.pidfd import Untold
followed_container.how_ended = lambda fd: Untold.NEVER
sys.exit(cli.main())
"""
RESTARTS = 5
"""Lives of one container: Docker waits twice as long before each restart."""
AT_ONCE = 6


@dataclass
class Life:
    """One life of a container, as the engine tells it (seconds since the epoch)."""

    code: int | None = None
    oom: bool = False
    ended: float = 0.0


@dataclass
class Seen:
    """What one container's events said, in their order."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@dataclass
class Engine:
    """An engine's command line."""

    name: str
    command: list[str]
    lives: dict[str, list[Life]] = field(default_factory=lambda: defaultdict(list))

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def follow(self) -> subprocess.Popen[str]:
        """Its own events, kept as they come."""
        arguments = ["events", "--format", "{{json .}}" if self.name == "docker" else "json"]
        process = subprocess.Popen([*self.command, *arguments], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if self.name == "docker":
                what, key, when = event.get("Action"), event.get("id") or event["Actor"]["ID"], event["timeNano"] / 1e9
                code = event.get("Actor", {}).get("Attributes", {}).get("exitCode")
            else:
                what, key = event.get("Status"), event.get("ID")
                when, code = event.get("timeNano", event.get("time", 0) * 10**9) / 1e9, event.get("ContainerExitCode")
            if what in ("die", "died"):
                if any(life.ended == when for life in self.lives[key]):
                    continue  # Podman tells its events again when the file that it keeps them in is rotated
                self.lives[key].append(Life(None if code is None else int(code), ended=when))

    def pid(self, key: str) -> int:
        found = self.run("inspect", "--format", "{{.State.Pid}}", key)
        return int(found) if found.isdigit() else 0


class Follower:
    """The agent, and a client of its follow."""

    def __init__(self, interval: float, arguments: list[str], *, without_pidfd: bool) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        command = [str(Path(sys.executable).parent / "cgstatd")]
        if without_pidfd:
            command = [sys.executable, "-c", WITHOUT_PIDFD]
        command += ["serve", "--listen", f"127.0.0.1:{self.port}"]
        self.agent = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
        self.log: list[str] = []
        self.seen: dict[str, Seen] = defaultdict(Seen)
        self.rounds = 0
        threading.Thread(target=self._drain, daemon=True).start()
        self._connect(interval)
        threading.Thread(target=self._read, daemon=True).start()

    def _drain(self) -> None:
        assert self.agent.stderr is not None
        self.log.extend(self.agent.stderr)

    def _connect(self, interval: float) -> None:
        until = time.monotonic() + 20
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            try:
                connection.request("GET", f"/api/containers/stats/follow?interval={interval}")
                self._answer = connection.getresponse()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _read(self) -> None:
        name = ""
        with suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
            for line in self._answer:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: ") and name in ("start", "exit", "oom", "stat", "round"):
                    data = json.loads(line[6:])
                    self.rounds += name == "round"
                    if "id" in data:
                        self.seen[data["id"]].events.append((name, data))

    def wait(self, rounds: int) -> None:
        until = self.rounds + rounds
        while self.rounds < until:
            time.sleep(0.1)

    def stop(self) -> None:
        self.agent.terminate()
        self.agent.wait(20)


def play(kind: str, engine: Engine, deaths: int, image: str, prefix: str) -> list[str]:
    """At least so many deaths; the ids of the containers that were made."""
    options, script = KINDS[kind]
    made: list[str] = []
    died = 0
    while died < deaths:
        wave: list[str] = []
        for _ in range(AT_ONCE):
            number = len(made) + len(wave)
            command = ["run", "-d", "--name", f"{prefix}{kind}{number}", *options, image, "sh", "-c", script]
            if kind == "rm":
                command.append(str(number % 100 + 1))
            if re.fullmatch(r"[0-9a-f]{64}", key := engine.run(*command).splitlines()[-1] if command else ""):
                wave.append(key)
        if not wave:
            raise SystemExit(f"{engine.name} makes no containers of {image}")
        made += wave
        until = time.monotonic() + 60
        most = 1 if kind == "rm" else RESTARTS
        killed: dict[str, int] = defaultdict(int)
        while time.monotonic() < until and any(len(engine.lives[key]) < most for key in wave):
            time.sleep(0.4)
            for key in wave if kind == "kill" else ():
                # Once a life, some time after its start: as an operator's or the kernel's kill.
                if killed[key] == len(engine.lives[key]) and (pid := engine.pid(key)):
                    killed[key] += 1
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        for key in wave:
            engine.run("rm", "-f", *(["-t", "0"] if engine.name == "podman" else []), key)
        died += sum(len(engine.lives[key]) for key in wave)
    return made


@dataclass
class Result:
    """One line of the table."""

    kind: str
    deaths: int = 0
    exits: int = 0
    no_code: int = 0
    wrong: int = 0
    oom_exits: int = 0
    oom_without: int = 0
    oom_twice: int = 0
    early_starts: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        few = max(1, self.exits // 50)
        return bool(self.wrong or self.oom_without or self.oom_twice or self.early_starts or self.no_code > few)


def life_of(event: dict[str, Any], engine: Engine, key: str) -> Life | None:
    """The engine's life that an exit is about; None: that cannot be told.

    Docker tells a death once the cgroup is gone: it is the life in which the last figures were read. Podman tells it
    some 0.2 s earlier: the life that was started when the exit says, provided that its last figures may be of that one.
    """
    lives = engine.lives[key]
    when = event["last"]["timestamp"] / 1000 if event["last"] else None
    if engine.name == "docker":
        return None if when is None else next((life for life in lives if when <= life.ended), None)
    started = event.get("started")
    if started is None:
        return None
    number = next((n for n, life in enumerate(lives) if started / 1000 < life.ended), None)
    if number is None:
        return None
    # Its cgroup was made after the death before, and was gone before the death after.
    first = lives[number - 1].ended if number else 0.0
    last = lives[number + 1].ended if number + 1 < len(lives) else float("inf")
    return lives[number] if when is None or first < when < last else Life(-1)


def compare(kind: str, made: list[str], engine: Engine, follower: Follower) -> Result:
    """The events of these containers against the engine's."""
    result = Result(kind)
    for key in made:
        lives = engine.lives[key]
        result.deaths += len(lives)
        ooms = 0
        claimed: set[int] = set()
        for name, event in follower.seen[key].events:
            if name == "oom":
                ooms += 1
            elif name == "exit":
                result.exits += 1
                life = life_of(event, engine, key)
                if (started := event.get("started")) is not None and event["exitCode"] is not None:
                    result.wrong += started in claimed
                    claimed.add(started)
                if event["exitCode"] is None:
                    result.no_code += 1
                    result.reasons.append(str(event.get("exitCodeAbsent")))
                elif life is not None and life.code is not None and life.code != event["exitCode"]:
                    result.wrong += 1
                    result.reasons.append(
                        f"{key[:12]}: {event['exitCode']}, the engine says {life.code}: {_told(event, lives)}"
                    )
                if event["oomKilled"]:
                    result.oom_exits += 1
                    result.oom_without += ooms == 0
                    result.oom_twice += ooms > 1
                ooms = 0
    return result


def _told(event: dict[str, Any], lives: list[Life]) -> str:
    """An exit's times beside the ends that the engine told."""
    last = event["last"]["timestamp"] / 1000 if event["last"] else None
    ends = ", ".join(f"{life.ended:.3f} ({life.code})" for life in lives)
    return f"started {event.get('started')}, last figures {last}, ends {ends}"


def order(made: list[str], follower: Follower) -> int:
    """How often a start came while the life before had not been told to have ended."""
    wrong = 0
    for key in made:
        alive = False
        for name, _ in follower.seen[key].events:
            if name == "start":
                wrong += alive
                alive = True
            elif name == "exit":
                alive = False
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the ends that follow tells with an engine's own.")
    parser.add_argument("engine", choices=["docker", "podman"])
    parser.add_argument("--host", help="Docker's socket (unix://…)")
    parser.add_argument("--engine-argument", action="append", default=[], help="for the engine's command line")
    parser.add_argument("--agent-argument", action="append", default=[], help="for cgstatd serve")
    parser.add_argument("--image", default="lab/busybox:1")
    parser.add_argument("--deaths", type=int, default=50, help="at least so many of each kind (default: 50)")
    parser.add_argument("--interval", type=float, default=1.0, help="of the client (default: 1)")
    parser.add_argument(
        "--without-pidfd", action="store_true", help="as on a kernel that does not keep exit codes (before 6.15)"
    )
    parser.add_argument("--kind", choices=list(KINDS), nargs="*", default=list(KINDS))
    given = parser.parse_args()
    command = [given.engine, *(["-H", given.host] if given.host else []), *given.engine_argument]
    engine = Engine(given.engine, command)
    events = engine.follow()
    follower = Follower(given.interval, given.agent_argument, without_pidfd=given.without_pidfd)
    results = []
    try:
        follower.wait(2)
        for kind in given.kind:
            made = play(kind, engine, given.deaths, given.image, f"crash{os.getpid()}")
            follower.wait(int(4 / given.interval) + 3)
            result = compare(kind, made, engine, follower)
            result.early_starts = order(made, follower)
            results.append(result)
    finally:
        follower.stop()
        events.terminate()
    heads = ["kind", "engine's deaths", "exits told", "no code", "another's code", "oomKilled", "no oom before"]
    heads += ["several oom", "start before exit"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for r in results:
        cells = (r.kind, r.deaths, r.exits, r.no_code, r.wrong, r.oom_exits, r.oom_without, r.oom_twice, r.early_starts)
        print(f"| {' | '.join(map(str, cells))} |")
    for r in results:
        for reason in r.reasons[:10]:
            print(f"{r.kind}: {reason}")
    tracebacks = sum("Traceback" in line for line in follower.log)
    if tracebacks:
        print("".join(follower.log[-60:]))
    return 1 if tracebacks or any(result.bad for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
