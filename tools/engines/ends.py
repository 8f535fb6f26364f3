"""Ends containers of a real engine in every way beside an agent that no client follows, and compares what it says then.

    python tools/engines/ends.py docker [--engine-argument=-H --engine-argument=unix:///run/docker.sock]
    python tools/engines/ends.py podman [--engine-argument --cgroup-manager=cgroupfs] [--run-argument --runtime=runc]
    python tools/engines/ends.py ctr --rootfs DIR [--engine-argument=-a --engine-argument=SOCKET]
    python tools/engines/ends.py runc|crun|lxc --rootfs DIR
    python tools/engines/ends.py nspawn|service --rootfs DIR    (systemd is pid 1; --agent-argument=--services)

It starts an agent of its own (`--agent`; else the `cgstatd` beside this Python). For each kind of end it prints the
engine's own record beside the agent's `lastWords`, `lastTerminated` of the list, and `State` and `die` of its Engine
API; exit code 1 where one of them is another code than the engine's, or OOM-killed where the engine says otherwise.
Below the table stands why a cell is empty. Kinds:

    exit 0, exit 3, exit 137    by itself         SIGSEGV    a fault of the first process
    SIGKILL                     from the host     OOM        a limit and a process beyond it
    gone                        exit 3 before the agent could look (no sleep)
    loop                        --restart always, exit 5, ended 5 times; where no engine restarts, started 5 times
    renamed                     while it runs, then exit 4

Needs root, and an image (`--image`) or a root directory (`--rootfs`) with a shell. Only this tool asks an engine; the
agent never does.
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
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from endings import ENGINES, LIVES, Ended, NoSuch, fault_program

HEADS = ["kind", "engine: code, OOM", "lastWords: code, signal, OOM", "list: code, reason, restarts, flapping"]
HEADS += ["Engine API: State", "die"]


class Agent:
    """An agent of its own, and no client that stays."""

    def __init__(self, arguments: list[str], program: str = "") -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        program = program or str(Path(sys.executable).parent / "cgstatd")
        command = [program, "serve", "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def json(self, path: str) -> Any:
        status, body = self.get(path)
        return json.loads(body) if status == 200 else None

    def wait(self) -> None:
        for _ in range(300):
            with contextlib.suppress(OSError):
                if self.get("/healthz")[0] == 200:
                    return
            time.sleep(0.1)
        raise SystemExit("the agent does not answer")


def shown(*values: object) -> str:
    return ", ".join("-" if value is None else str(value) for value in values)


def engine_id(agent: Agent, key: str) -> str:
    """The id by which the Engine API knows a container whose own is a word."""
    found = agent.json(f"/containers/{key}/json")
    return found["Id"] if found else key


def row(agent: Agent, kind: str, end: Ended) -> tuple[list[str], bool, set[str]]:
    """What the agent says, whether some of it is wrong, and why some of it is not known."""
    key, code, oom = end
    until = time.monotonic() + 10
    while True:
        detail = agent.json(f"/api/containers/{key}/detail")
        words = detail and detail["lastWords"]
        last = detail and detail["container"]["lastTerminated"]
        settled = words and (kind != "loop" or code is None or words["exitCode"] in (None, code))
        if settled or time.monotonic() > until:
            break
        time.sleep(0.1)
    listed = next((each for each in agent.json("/api/containers") if each["id"] == key), None)
    state = agent.json(f"/containers/{key}/json")
    now, api_id = time.time(), engine_id(agent, key)
    _, events = agent.get(f"/events?since={now - 600:.0f}&until={now:.6f}")
    dies = [json.loads(line) for line in events.splitlines()]
    dies = [
        each["Actor"]["Attributes"].get("exitCode") for each in dies if each["Action"] == "die" and each["id"] == api_id
    ]
    known = [words and words["exitCode"], last and last["exitCode"]]
    said = [*known, state["State"]["ExitCode"] if state and any(each is not None for each in known) else None]
    said += [int(each) for each in dies[-1:] if each is not None]
    kills = [words and words["oomKilled"], last and last["oomKilled"], state and state["State"]["OOMKilled"]]
    wrong = code is not None and any(each not in (None, code) for each in said)
    wrong |= oom is not None and any(each not in (None, oom) for each in kills)
    cells = [
        kind,
        shown(code, oom),
        shown(words["exitCode"], words["signal"], words["oomKilled"]) if words else "-",
        shown(last["exitCode"], last["reason"], *([listed["restarts"], listed["flapping"]] if listed else []))
        if last
        else "-",
        shown(state["State"]["ExitCode"], state["State"]["OOMKilled"]) if state else "-",
        shown(*dies[-1:]) if dies else "none",
    ]
    whys = {(each or {}).get(why) for each in (words, last) for why in ("exitCodeAbsent", "signalAbsent")}
    return cells, wrong, {f"{kind}: {why}" for why in whys if why}


def parser_of(description: str | None, engines: Iterable[str], image: str) -> argparse.ArgumentParser:
    """Of a play on one of these engines, beside an agent of its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=list(engines))
    parser.add_argument("--engine-argument", action="append", default=[], help="for the engine's command line")
    parser.add_argument("--run-argument", action="append", default=[], help="for its `run`")
    parser.add_argument("--agent-argument", action="append", default=[], help="for cgstatd serve")
    parser.add_argument("--agent", default="", help="the cgstatd to start")
    parser.add_argument("--image", default=image)
    parser.add_argument("--rootfs", default="", help="of containers that are made of a directory")
    return parser


def parsed() -> argparse.Namespace:
    parser = parser_of(__doc__, ENGINES, "lab/busybox:1")
    parser.add_argument("--kind", choices=list(LIVES), nargs="*", default=list(LIVES))
    return parser.parse_args()


def main() -> int:
    options = parsed()
    wrong, reasons = False, set[str]()
    with tempfile.TemporaryDirectory() as options.work, fault_program(options.work) as fault:
        Path(options.work).chmod(0o755)
        command = [options.engine, *options.engine_argument]
        engine = ENGINES[options.engine](options.engine, command, options, fault)
        agent = Agent(options.agent_argument, options.agent)
        try:
            agent.wait()
            print(f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
            for kind in options.kind:
                try:
                    end = engine.play(kind, f"ends{os.getpid()}-{kind.lower().replace(' ', '')}")
                except NoSuch as error:
                    print(f"| {kind} | {error} |{' |' * (len(HEADS) - 2)}", flush=True)
                    continue
                cells, bad, whys = row(agent, kind, end)
                wrong, reasons = wrong | bad, reasons | whys
                print(f"| {' | '.join(cells)} |{' WRONG' if bad else ''}", flush=True)
                engine.remove(end.id)
        finally:
            agent.process.terminate()
            agent.process.wait(20)
    print("\n".join(["", *sorted(reasons)]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
