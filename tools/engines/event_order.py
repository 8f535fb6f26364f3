"""Ends containers of a real engine in each way and compares the Engine API's events with the engine's own.

    python tools/engines/event_order.py docker [--engine-argument=-H --engine-argument=unix:///run/docker.sock]
    python tools/engines/event_order.py podman [--engine-argument --cgroup-manager=cgroupfs …]
    python tools/engines/event_order.py ctr --rootfs DIR [--engine-argument=-a --engine-argument=SOCKET]
    python tools/engines/event_order.py runc --rootfs DIR

It starts an agent of its own (`--agent`; else the `cgstatd` beside this Python) with one client of `/events`. Each kind
is played `--ends` times, `--at-once` side by side; `--rest` seconds lie between two:

    0, 137, 127   after 0.4 s, by itself        OOM      a limit and a process beyond it
    missing       a program that is not there   at once  `--rm`, exits with 3 before anybody could look

Then the stream, and what `/events?since` says, are compared with `docker events`, `podman events` or `ctr events`; runc
tells none, and what it must be is known. Printed for each kind: events of one container in another order than `create`,
`start`, `oom`, `die`, `destroy` (reversed); a start, kill or end that the engine has not (invented), or has fewer times
(twice); ends and kills that the engine has alone (missed); codes that are not known, and wrong ones. Exit code 1 where
anything is reversed, invented, twice or a wrong code. Needs root; only this tool asks an engine, the agent never does.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from endings import MEMORY_BYTES, run
from ends import Agent, parser_of

KINDS = {
    "0": ["sh", "-c", "sleep 0.4; exit 0"],
    "137": ["sh", "-c", "sleep 0.4; exit 137"],
    "127": ["sh", "-c", "sleep 0.4; exit 127"],
    "OOM": ["sh", "-c", "sleep 0.4; exec tail /dev/zero"],
    "missing": ["nosuchprogram"],
    "at once": ["sh", "-c", "exit 3"],
}
ORDER = ("create", "start", "oom", "die", "destroy")
HEADS = ("kind", "ends", "reversed", "invented", "twice", "missed", "code not known", "code wrong")
_PODMAN = {"died": "die", "remove": "destroy", "oom": "oom"}
_CTR = {"/containers/create": "create", "/tasks/start": "start", "/tasks/oom": "oom", "/tasks/exit": "die",
        "/containers/delete": "destroy"}  # fmt: skip


class Told(NamedTuple):
    """One event of a container. Of the agent's, ``code`` is None where it says that it is not known."""

    name: str
    action: str
    code: int | None = None


class Player:
    """One engine."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.command = [options.engine, *options.engine_argument]
        self.names: dict[str, str] = {}
        """By id: the agent may have to find the engine's state first, which has the names."""

    def events(self) -> list[str]:
        """The command that tells the engine's own; empty: it has none."""
        return [*self.command, "events", "--format", "json" if self.options.engine == "podman" else "{{json .}}"]

    def told(self, line: str) -> Told | None:
        """One line of that."""
        found = json.loads(line)
        if self.options.engine == "podman":
            action = _PODMAN.get(found["Status"], found["Status"])
            self.names[found["ID"]] = found["Name"]
            return Told(found["Name"], action, found.get("ContainerExitCode"))
        attributes = found["Actor"]["Attributes"]
        self.names[found["Actor"]["ID"]] = attributes.get("name", "")
        return Told(attributes.get("name", ""), found["Action"], int(attributes.get("exitCode") or 0))

    def play(self, kind: str, name: str) -> Told:
        """One container; its end, for an engine without events."""
        more = ["--rm"] if kind == "at once" else []
        more += [f"--memory={MEMORY_BYTES}", f"--memory-swap={MEMORY_BYTES}"] if kind == "OOM" else []
        more += [*self.options.run_argument, "--network=none"]
        run(*self.command, "run", "--name", name, *more, self.options.image, *KINDS[kind])
        if kind != "at once":
            run(*self.command, "rm", "-f", name)
        return Told(name, "die")


class Ctr(Player):
    """containerd, by ctr."""

    def events(self) -> list[str]:
        return [*self.command, "events"]

    def told(self, line: str) -> Told | None:
        topic, start = next(((each, line.index(each)) for each in _CTR if f" {each} " in line), ("", 0))
        if not topic:
            return None
        found = json.loads(line[start + len(topic) :])
        name = found.get("container_id") or found.get("id") or ""
        return Told(name, _CTR[topic], found.get("exit_status", 0))

    def play(self, kind: str, name: str) -> Told:
        limit = ["--memory-limit", str(MEMORY_BYTES)] if kind == "OOM" else []
        more = [*limit, *self.options.run_argument, "--env", "PATH=/bin", "--rootfs", self.options.rootfs]
        run(*self.command, "run", "--rm", *more, name, *KINDS[kind])
        return Told(name, "die")


class Runc(Player):
    """runc, without an engine above it: its events are what the tool has seen."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        run(self.command[0], "spec", "--bundle", options.work)
        self._spec = json.loads(Path(options.work, "config.json").read_text())

    def events(self) -> list[str]:
        return []

    def play(self, kind: str, name: str) -> Told:
        spec, bundle = copy.deepcopy(self._spec), Path(self.options.work, name)
        bundle.mkdir()
        spec["process"].update(terminal=False, args=KINDS[kind])
        spec["root"] = {"path": self.options.rootfs, "readonly": True}
        spec["linux"]["cgroupsPath"] = f"/order/{name.encode().hex():0>64}"
        if kind == "OOM":
            spec["linux"]["resources"]["memory"] = {"limit": MEMORY_BYTES}
        Path(bundle, "config.json").write_text(json.dumps(spec))
        key = f"{name.encode().hex():0>64}"
        code = run(*self.command, "run", "--bundle", str(bundle), key).returncode
        return Told(name, "die" if kind != "missing" else "none", code)


ENGINES: dict[str, type[Player]] = {"docker": Player, "podman": Player, "ctr": Ctr, "runc": Runc}


def stream(port: int, query: str, seconds: float = 600) -> Iterator[dict[str, Any]]:
    """The agent's events, until the connection ends."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", f"/events{query}")
        answer = connection.getresponse()
        while line := answer.readline():
            yield json.loads(line)


def ours(each: dict[str, Any], names: dict[str, str]) -> Told:
    """One of the agent's; runc's containers have their names in hexadecimal digits for ids."""
    attributes = each["Actor"]["Attributes"]
    name = names.get(each["Actor"]["ID"], attributes["name"])
    with contextlib.suppress(ValueError):
        name = bytes.fromhex(each["Actor"]["ID"].lstrip("0")).decode("ascii")
    code = None if "error" in attributes else int(attributes.get("exitCode", 0))
    return Told(name, each["Action"], code)


def _words(several: list[Told]) -> str:
    return " ".join(each.action + (f"({each.code})" if each.action == "die" else "") for each in several) or "nothing"


def judged(
    kind: str, names: list[str], mine: list[Told], theirs: list[Told] | None, codes: dict[str, Told]
) -> list[int]:
    """One row of the table; ``theirs`` None: the engine tells nothing, and ``codes`` says how each ended."""
    found = Counter[str]()
    for name in names:
        before = sum(found.values())
        told = [each for each in mine if each.name == name]
        ranks = [ORDER.index(each.action) for each in told if each.action in ORDER]
        found["reversed"] += ranks != sorted(ranks)
        if theirs is None:
            end = codes[name]
            ran = [Told(name, "start"), end] if end.action == "die" else []
            real = [*ran, *([Told(name, "oom")] if kind == "OOM" else [])]
        else:
            real = [each for each in theirs if each.name == name]
        have, must = Counter(each.action for each in told), Counter(each.action for each in real)
        for action in ("start", "die", *(("oom",) if must["oom"] else ())):
            found["invented"] += have[action] > 0 and not must[action]
            found["twice"] += have[action] > must[action] > 0
        found["missed"] += any(must[action] > have[action] for action in ("oom", "die"))
        code = next((each.code for each in real if each.action == "die"), None)
        for each in told:
            if each.action == "die":
                found["unknown"] += each.code is None
                found["wrong"] += each.code is not None and each.code != code
        if sum(found.values()) > before:
            print(f"{name}: {_words(told)}; the engine: {_words(real)}", file=sys.stderr)
    keys = ("reversed", "invented", "twice", "missed", "unknown", "wrong")
    return [len(names), *(found[each] for each in keys)]


def parsed() -> argparse.Namespace:
    parser = parser_of(__doc__, ENGINES, "busybox")
    parser.add_argument("--prefix", default="order", help="of the containers' names")
    parser.add_argument("--kind", choices=list(KINDS), nargs="*", default=list(KINDS))
    parser.add_argument("--ends", type=int, default=20, help="of each kind")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--rest", type=float, default=0.0)
    return parser.parse_args()


def main() -> int:
    options = parsed()
    with tempfile.TemporaryDirectory() as options.work:
        Path(options.work).chmod(0o755)
        player, agent = ENGINES[options.engine](options), Agent(options.agent_argument, options.agent)
        engine: subprocess.Popen[str] | None = None
        live: list[dict[str, Any]] = []
        lines: list[str] = []
        try:
            agent.wait()
            began = time.time()
            threading.Thread(target=lambda: live.extend(stream(agent.port, "")), daemon=True).start()
            if command := player.events():
                engine = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                threading.Thread(target=lambda: lines.extend(engine.stdout or ()), daemon=True).start()
            time.sleep(2)
            prefix = f"{options.prefix}{os.getpid()}x"
            names = {
                kind: [f"{prefix}{kind.replace(' ', '')}{n}" for n in range(options.ends)] for kind in options.kind
            }

            def one(kind: str, name: str) -> Told:
                time.sleep(options.rest)
                return player.play(kind, name)

            with ThreadPoolExecutor(options.at_once) as pool:
                order = [(kind, names[kind][n]) for n in range(options.ends) for kind in options.kind]
                codes = {each.name: each for each in pool.map(lambda pair: one(*pair), order)}
            time.sleep(12)
            until = f"?since={began - 1:.0f}&until={time.time():.6f}"
            past = list(stream(agent.port, until))
        finally:
            if engine is not None:
                engine.terminate()
            agent.process.terminate()
            agent.process.wait(20)
    theirs = [told for line in lines if (told := player.told(line))] if player.events() else None
    bad = 0
    for what, events in (("the stream", live), ("what `since` says", past)):
        print(f"\n{options.engine}, {what}\n\n| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|")
        mine = [ours(each, player.names) for each in events]
        for kind in options.kind:
            row = judged(kind, names[kind], mine, theirs, codes)
            bad += sum(row[1:4]) + row[-1]
            print(f"| {kind} | {' | '.join(map(str, row))} |")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
