"""Compares what the agent says of health checks with the engine's own word, on a real engine.

    python tools/engines/health.py podman [--engine-argument --cgroup-manager=cgroupfs] [--run-argument --runtime=runc]
    python tools/engines/health.py docker [--engine-argument=-H --engine-argument=unix:///run/docker.sock]

It starts an agent of its own (the `cgstatd` beside this Python) and containers whose checks succeed, fail, have not run
yet, begin to fail, and one without a check. Exit code 1 where the agent says another status or streak than `inspect`;
"not known" is no error, but of Podman. Needs root and an image with a shell (`--image`). Only this tool asks an engine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from endings import Engine
from ends import Agent, shown

KINDS = {
    "succeeds": ["--health-cmd", "true"],
    "fails": ["--health-cmd", "false", "--health-retries=2"],
    "not run yet": ["--health-cmd", "true", "--health-interval=1h"],
    "begins to fail": ["--health-cmd", "test -e /good", "--health-retries=1"],
    "none": [],
}
PROBES = 3
HEADS = "kind", "engine: status, streak", "list: status, streak", "State.Health", "Status", "metric"


def probe(engine: Engine, kind: str, name: str) -> None:
    """Podman has no timer without systemd: its probes are asked for. Docker's own come each second."""
    if kind == "begins to fail":
        engine.run("exec", name, "touch", "/good")
    if engine.name == "podman":
        for number in range(PROBES if kind not in ("not run yet", "none") else 0):
            if kind == "begins to fail" and number == PROBES - 1:
                engine.run("exec", name, "rm", "/good")
            engine.run("healthcheck", "run", name)
        return
    time.sleep(PROBES + 0.5)
    if kind == "begins to fail":
        engine.run("exec", name, "rm", "/good")
        time.sleep(2)


def row(agent: Agent, engine: Engine, kind: str, key: str) -> tuple[list[str], bool]:
    """What both say, and whether it differs."""
    until = time.monotonic() + 5
    while True:
        said = json.loads(engine.inspect(key, "{{json .State.Health}}") or "null") or {}
        listed = next(each for each in agent.json("/api/containers") if each["id"] == key)["health"]
        own: Any = agent.json(f"/containers/{key}/json")["State"].get("Health")
        theirs = (said.get("Status") or None, said.get("FailingStreak"))
        ours = (listed["status"], listed["failingStreak"]) if listed else (None, None)
        absent = listed["absent"] if listed else None
        wrong = bool(own) != bool(ours[0]) or (ours[0] is not None and ours != theirs)
        wrong |= engine.name == "podman" and theirs[0] is not None and ours[0] is None
        if not wrong or time.monotonic() > until:  # a probe may be between the two questions
            break
        time.sleep(0.5)
    text = next(each for each in agent.json("/containers/json") if each["Id"] == key)["Status"]
    own_name = f"ends{os.getpid()}-{slug(kind)}"
    series = [each for each in agent.get("/metrics")[1].decode().splitlines() if "container_health_status{" in each]
    status = [each.partition('status="')[2].partition('"')[0] for each in series if own_name in each]
    cells = [kind, shown(*theirs), shown(*ours) + (f" ({absent})" if absent else ""), shown(own and own["Status"])]
    return [*cells, text, shown(*status)], wrong


def slug(kind: str) -> str:
    return kind.replace(" ", "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["docker", "podman"])
    parser.add_argument("--engine-argument", action="append", default=[], help="for the engine's command line")
    parser.add_argument("--run-argument", action="append", default=[], help="for its `run`")
    parser.add_argument("--agent-argument", action="append", default=[], help="for cgstatd serve")
    parser.add_argument("--image", default="lab/busybox:1")
    options = parser.parse_args()
    engine = Engine(options.engine, [options.engine, *options.engine_argument], options, "")
    agent, bad = Agent(options.agent_argument), False
    try:
        agent.wait()
        print(f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
        for kind, arguments in KINDS.items():
            name = f"ends{os.getpid()}-{slug(kind)}"
            more = list(arguments)
            if more and kind != "not run yet":
                more.append("--health-interval=1s" if options.engine == "docker" else "--health-interval=disable")
            made = engine.run("run", "-d", "--name", name, "--network=none", *more, *options.run_argument,
                              options.image, "sleep", "1000")  # fmt: skip
            key = made.stdout.strip()
            if made.returncode or len(key) != 64:
                raise SystemExit(f"{options.engine}: {made.stderr}")
            probe(engine, kind, name)
            cells, wrong = row(agent, engine, kind, key)
            bad |= wrong
            print(f"| {' | '.join(cells)} |{' WRONG' if wrong else ''}", flush=True)
            engine.remove(key)
    finally:
        agent.process.terminate()
        agent.process.wait(20)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
