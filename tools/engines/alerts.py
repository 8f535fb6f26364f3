"""Plays containers that end badly on a real Docker, and counts in how many agents' scrapes each alert fires.

    python tools/engines/alerts.py --host unix:///run/docker.sock --docker-root /var/lib/docker [--minutes 22]

One agent watches the containers. A Prometheus with the shipped rules scrapes it as 20 agents of their own each 15 s and
as 20 each 60 s, at the moments that it chooses for each: what one agent misses between two scrapes another one sees. A
second agent has a host with a file that hangs, and is gone at the end. ``--code``: another tree of cgstatd, to compare.
Prints, for each alert and container, how many of the 20 fired, and in which part of the rules' evaluations on average.
Needs root, Docker with an image ``busybox``, and prometheus. Only this tool asks an engine; the agent never does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / folder) for folder in ("tests", "tools", "agent", "cgroups", "tools/fixtures")]

from attacks.slowfile import slow  # noqa: E402
from fakehost import FakeHost  # noqa: E402

AGENTS = 20
INTERVALS = (15, 60)
ONCE = "test -e /was || { touch /was; sleep 90; "
AGAIN = ("--restart", "always")
SMALL = ("--memory", "24m", "--memory-swap", "24m")
CONTAINERS: dict[str, tuple[tuple[str, ...], str]] = {
    "well": ((), "sleep 100000"),
    "job": (AGAIN, "sleep 20; exit 0"),
    "ends-3": ((), "sleep 90; exit 3"),
    "ends-3-rm": (("--rm",), "sleep 90; exit 3"),
    "at-once-127": ((), "exit 127"),
    "oom-dead": (SMALL, "sleep 90; exec tail /dev/zero"),
    "oom-dead-rm": ((*SMALL, "--rm"), "sleep 90; exec tail /dev/zero"),
    "oom-back-once": ((*SMALL, *AGAIN), ONCE + "exec tail /dev/zero; }; sleep 100000"),
    "oom-child": (SMALL, "sleep 90; tail /dev/zero; sleep 100000"),
    "oom-each-20": ((*SMALL, *AGAIN), "sleep 20; exec tail /dev/zero"),
    "fails-once": (AGAIN, ONCE + "exit 2; }; sleep 100000"),
    "loop-1s": (AGAIN, "sleep 1; exit 1"),
    "throttled": (("--cpus", "0.05"), "while :; do :; done"),
    "near-limit": (
        ("--memory", "32m", "--memory-swap", "32m"),
        "(head -c 31457280 /dev/zero; sleep 100000) | tail -c 100000000",
    ),
}
"""Name -> options, program. ``by-hand`` is started anew each 20 s by the tool, and ends with 1 after a second."""


class Stage:
    """What is started, and is ended again."""

    def __init__(self, options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        self.options, self.stack = options, stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cgstatd-alerts-")))
        self.ended = threading.Event()

    def docker(self, *arguments: str) -> None:
        command = ["docker", "--host", self.options.host, *arguments]
        subprocess.run(command, capture_output=True, check=False, timeout=120)

    def process(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        made = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
        self.stack.callback(made.wait)
        self.stack.callback(made.kill)
        return made

    def agent(self, port: int, *arguments: str) -> subprocess.Popen[bytes]:
        code = self.options.code
        listen = ("--listen", f"127.0.0.1:{port}", "--no-host-metrics", *arguments)
        path = f"{code}/agent:{code}/cgroups"
        return self.process(sys.executable, "-m", "cgstatd", "serve", *listen, PYTHONPATH=path)

    def clear(self) -> None:
        """Nothing of an earlier play is there, and in the end nothing of this one."""
        names = [f"{self.options.prefix}{name}" for name in (*CONTAINERS, "by-hand")]
        self.docker("rm", "--force", *names)
        self.stack.callback(self.docker, "rm", "--force", *names)

    def containers(self) -> None:
        """All of them, and the one that is started by hand again and again."""
        for name, (options, program) in CONTAINERS.items():
            self.run(name, *options, program)
        self.run("by-hand", "sleep 1; exit 1")
        threading.Thread(target=self.by_hand, daemon=True).start()

    def run(self, name: str, *rest: str) -> None:
        *options, program = rest
        self.docker("run", "--detach", "--network", "none", "--name", f"{self.options.prefix}{name}", *options,
                    "busybox", "sh", "-c", program)  # fmt: skip

    def by_hand(self) -> None:
        while not self.ended.wait(20):
            self.docker("start", f"{self.options.prefix}by-hand")

    def prometheus(self, ports: dict[str, int], port: int) -> None:
        """Scrapes each agent as many. Its rules are evaluated each 15 s."""
        for path in (Path(self.options.code) / "agent/cgstatd/data/prometheus").glob("cgstatd.*.yml"):
            shutil.copy(path, self.folder)
        jobs = []
        for interval in INTERVALS:
            those = [
                {"targets": [f"127.0.0.1:{of}"],
                 "labels": {"job": "cgstatd", "instance": f"{name}{number}", "env": str(interval)}}
                for name, of in ports.items() for number in range(AGENTS)
            ]  # fmt: skip
            jobs.append({"job_name": f"each{interval}", "scrape_interval": f"{interval}s", "static_configs": those})
        configuration = {
            "global": {"evaluation_interval": "15s"},
            "rule_files": ["cgstatd.rules.yml", "cgstatd.alerts.yml"],
            "scrape_configs": jobs,
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(configuration))
        self.process("prometheus", f"--config.file={self.folder}/prometheus.yml", "--log.level=error",
                     f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{port}")  # fmt: skip

    def hung(self) -> str:
        """A host with a file that hangs, as on a disk that dies."""
        host = FakeHost(self.folder / "host")
        host.add("hung")

        def read() -> bytes:
            self.ended.wait()
            return b""

        self.stack.enter_context(slow(host.scope("hung") / "memory.stat", read))
        return str(host.path)


def report(port: int, minutes: float, prefix: str) -> None:
    """The table."""

    def ask(expression: str) -> dict[tuple[str, str, str], float]:
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=60) as answer:
            found = json.load(answer)["data"]["result"]
        labels = ("alertname", "name", "env")
        return {tuple(each["metric"].get(key, "") for key in labels): float(each["value"][1]) for each in found}

    those = (f'name=~"{prefix}.*"', 'name="",instance=~"hung.*"')
    window = f"[{int(minutes * 60)}s]"
    fired = " or ".join(f'count_over_time(ALERTS{{alertstate="firing",{each}}}{window})' for each in those)
    agents = ask(f"count by (alertname, name, env) (count by (alertname, name, env, instance) ({fired}))")
    often = ask(f"sum by (alertname, name, env) ({fired}) / {AGENTS}")
    print(f"of {AGENTS} agents, and evaluations with it of {minutes * 4:.0f}, on average")
    print(f"{'alert':24} {'container':24} " + " ".join(f"{f'each {interval} s':>14}" for interval in INTERVALS))
    for alert, name in sorted({key[:2] for key in agents}):
        cells = [
            (agents.get((alert, name, str(each)), 0), often.get((alert, name, str(each)), 0)) for each in INTERVALS
        ]
        print(f"{alert:24} {name:24} " + " ".join(f"{f'{fires:.0f}, {part:.1f}':>14}" for fires, part in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--host", required=True)
    parser.add_argument("--docker-root", required=True)
    parser.add_argument("--minutes", type=float, default=22.0)
    parser.add_argument("--code", default=str(PROJECT))
    parser.add_argument("--prefix", default="alerts-")
    parser.add_argument("--port", type=int, default=9890, help="of the first of three loopback ports")
    parser.add_argument("--watch-only", action="store_true", help="another one plays the containers")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        stage = Stage(options, stack)
        first = options.port
        if not options.watch_only:
            stage.clear()
        stage.agent(first, "--docker-root", options.docker_root)
        hung = stage.agent(first + 1, "--host-root", stage.hung())
        stage.prometheus({"a": first, "hung": first + 1}, first + 2)
        stack.callback(stage.ended.set)  # first: who reads what hangs would not end
        began = time.monotonic()
        time.sleep(70)  # all are scraped once before anything happens
        if not options.watch_only:
            stage.containers()
        time.sleep(max(0.0, options.minutes * 60 - 240 - (time.monotonic() - began)))
        stage.ended.set()
        hung.kill()
        time.sleep(240)
        report(first + 2, options.minutes, options.prefix)


if __name__ == "__main__":
    main()
