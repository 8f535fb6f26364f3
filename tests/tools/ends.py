"""Ends containers of a real engine in every way beside an agent that no client follows, and compares what it says then.

    python tests/tools/ends.py docker [--engine-argument=-H --engine-argument=unix:///run/docker.sock]
    python tests/tools/ends.py podman [--engine-argument --cgroup-manager=cgroupfs] [--run-argument --runtime=runc]
    python tests/tools/ends.py ctr --rootfs DIR [--engine-argument=-a --engine-argument=/run/containerd/containerd.sock]

It starts an agent of its own (the `cgstatd` beside this Python). For each kind of end it prints the engine's own record
beside the agent's `lastWords`, `lastTerminated` of the list, and `State` and `die` of its Engine API; exit code 1 where
one of them is another code than the engine's, or OOM-killed where the engine says otherwise. Kinds:

    exit 0, exit 3, exit 137    by itself         SIGSEGV    a fault of the first process
    SIGKILL                     from the host     OOM        a limit and a process beyond it
    gone                        exit 3 before the agent could look (no sleep)
    loop                        --restart always, exit 5; ended 5 times

Needs root, an image with a shell (`--image`) and a C compiler. Only this tool asks an engine; the agent never does.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIVES = {
    "exit 0": "sleep 1; exit 0",
    "exit 3": "sleep 1; exit 3",
    "exit 137": "sleep 1; exit 137",
    "SIGSEGV": "sleep 1; exec /fault",
    "SIGKILL": "exec sleep 1000",
    "OOM": "sleep 1; exec tail /dev/zero",
    "gone": "exit 3",
    "loop": "sleep 0.3; exit 5",
}
FAULT = "int main(void) { *(volatile int *)0 = 0; return 0; }\n"
MEMORY_BYTES = 16 << 20
HEADS = "kind", "engine: code, OOM", "lastWords: code, signal, OOM", "list: code, reason, restarts, flapping"
HEADS += ("Engine API: State", "die")


class Agent:
    """An agent of its own, and no client that stays."""

    def __init__(self, arguments: list[str]) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        command = [str(Path(sys.executable).parent / "cgstatd"), "serve", "--listen", f"127.0.0.1:{self.port}"]
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
        for _ in range(100):
            with contextlib.suppress(OSError):
                if self.get("/healthz")[0] == 200:
                    return
            time.sleep(0.1)
        raise SystemExit("the agent does not answer")


class Engine:
    """An engine's command line."""

    def __init__(self, name: str, command: list[str], options: argparse.Namespace, fault: str) -> None:
        self.name, self.command, self.options, self.fault = name, command, options, fault

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False)

    def play(self, kind: str, name: str) -> tuple[str, int | None, bool | None]:
        """One container; its id, and its code and OOM kill as the engine has them."""
        if self.name == "ctr":
            return self._play_ctr(kind, name)
        more = ["--restart=always"] if kind == "loop" else []
        more += [f"--memory={MEMORY_BYTES}", f"--memory-swap={MEMORY_BYTES}"] if kind == "OOM" else []
        more += [*self.options.run_argument, "-v", f"{self.fault}:/fault:ro", "--network=none"]
        made = self.run("run", "-d", "--name", name, *more, self.options.image, "sh", "-c", LIVES[kind])
        key = made.stdout.strip()
        if made.returncode or len(key) != 64:
            raise SystemExit(f"{self.name}: {made.stderr}")
        if kind == "SIGKILL":
            time.sleep(1)
            os.kill(int(self.inspect(key, "{{.State.Pid}}")), signal.SIGKILL)
        if kind == "loop":
            until = time.monotonic() + 40
            while int(self.inspect(key, "{{.RestartCount}}") or 0) < 5 and time.monotonic() < until:
                time.sleep(0.05)
            self.run("stop", "-t", "0", name)
        else:
            self.run("wait", key)
        code, oom = self.inspect(key, "{{.State.ExitCode}} {{.State.OOMKilled}}").split()
        return key, int(code), oom == "true"

    def inspect(self, key: str, form: str) -> str:
        return self.run("inspect", "--format", form, key).stdout.strip()

    def _play_ctr(self, kind: str, name: str) -> tuple[str, int | None, bool | None]:
        limit = ["--memory-limit", str(MEMORY_BYTES)] if kind == "OOM" else []
        command = [*self.command, "run", "--rm", *limit, *self.options.run_argument]
        command += ["--mount", f"type=bind,src={self.fault},dst=/fault,options=rbind:ro"]
        command += ["--rootfs", self.options.rootfs, name, "sh", "-c", LIVES[kind]]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            if kind == "SIGKILL":
                time.sleep(1)
                listed = self.run("task", "ls").stdout.split("\n")
                pid = next(line.split()[1] for line in listed if line.startswith(name))
                os.kill(int(pid), signal.SIGKILL)
            return name, process.wait(), None

    def remove(self, key: str) -> None:
        if self.name != "ctr":
            self.run("rm", "-f", key)


def shown(*values: object) -> str:
    return ", ".join("-" if value is None else str(value) for value in values)


def row(agent: Agent, kind: str, key: str, code: int | None, oom: bool | None) -> tuple[list[str], bool]:
    """What the agent says, and whether some of it is wrong."""
    until = time.monotonic() + 6
    while True:
        detail = agent.json(f"/api/containers/{key}/detail")
        words = detail and detail["lastWords"]
        if words or time.monotonic() > until:
            break
        time.sleep(0.1)
    last = detail and detail["container"]["lastTerminated"]
    listed = next((each for each in agent.json("/api/containers") if each["id"] == key), None)
    state = agent.json(f"/containers/{key}/json")
    now = time.time()
    _, events = agent.get(f"/events?since={now - 600:.0f}&until={now:.6f}")
    dies = [json.loads(line) for line in events.splitlines()]
    dies = [
        each["Actor"]["Attributes"].get("exitCode") for each in dies if each["Action"] == "die" and each["id"] == key
    ]
    said = [words and words["exitCode"], last and last["exitCode"], state and state["State"]["ExitCode"]]
    said += [int(each) for each in dies[-1:] if each is not None]
    kills = [words and words["oomKilled"], last and last["oomKilled"], state and state["State"]["OOMKilled"]]
    wrong = any(each not in (None, code) for each in said) or (
        oom is not None and any(each not in (None, oom) for each in kills)
    )
    cells = [
        kind,
        shown(code, oom),
        shown(words["exitCode"], words["signal"], words["oomKilled"]) if words else "-",
        shown(last["exitCode"], last["reason"], *([listed["restarts"], listed["flapping"]] if listed else []))
        if last
        else "-",
        shown(state["State"]["ExitCode"], state["State"]["OOMKilled"]) if state else "-",
        shown(*dies[-1:]),
    ]
    for each in (words, last):
        for why in (each or {}).get("exitCodeAbsent"), (each or {}).get("signalAbsent"):
            if why and why not in cells:
                cells[0] += f" ({why})"
                break
    return cells, wrong


@contextlib.contextmanager
def fault_program() -> Iterator[str]:
    """A program whose first act is a fault."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "fault.c")
        source.write_text(FAULT)
        subprocess.run(["cc", "-O0", "-static", "-o", f"{folder}/fault", str(source)], check=True)
        Path(folder).chmod(0o755)
        yield f"{folder}/fault"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["docker", "podman", "ctr"])
    parser.add_argument("--engine-argument", action="append", default=[], help="for the engine's command line")
    parser.add_argument("--run-argument", action="append", default=[], help="for its `run`")
    parser.add_argument("--agent-argument", action="append", default=[], help="for cgstatd serve")
    parser.add_argument("--image", default="lab/busybox:1")
    parser.add_argument("--rootfs", default="", help="of containers of ctr")
    parser.add_argument("--kind", choices=list(LIVES), nargs="*", default=list(LIVES))
    options = parser.parse_args()
    wrong = False
    with fault_program() as fault:
        engine = Engine(options.engine, [options.engine, *options.engine_argument], options, fault)
        agent = Agent(options.agent_argument)
        try:
            agent.wait()
            print(f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
            for kind in options.kind:
                if kind == "loop" and options.engine == "ctr":
                    continue  # it restarts nothing
                key, code, oom = engine.play(kind, f"ends{os.getpid()}-{kind.lower().replace(' ', '')}")
                cells, bad = row(agent, kind, key, code, oom)
                wrong |= bad
                print(f"| {' | '.join(cells)} |{' WRONG' if bad else ''}", flush=True)
                engine.remove(key)
        finally:
            agent.process.terminate()
            agent.process.wait(20)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
