"""cAdvisor where its program is on PATH: a second of its housekeeping, as it comes and trimmed to what cgstatd reads.

It works whether it is asked or not, so it is started once, given time to settle, and stopped (SIGSTOP) while the other
subjects are measured.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

from engines import docker_pids
from measure import Series, cpu_nsec, rss_mb

KEPT = {"cpu", "memory", "network", "diskIO"}
AWAKE_SECONDS = 3
"""After it goes on again: what it missed is caught up on."""


def available() -> str | None:
    """The program."""
    return shutil.which("cadvisor")


def version(program: str) -> str:
    """What it says of itself."""
    said = subprocess.run([program, "--version"], check=False, capture_output=True, text=True)
    return (said.stdout + said.stderr).strip()


def trimmed(program: str) -> list[str]:
    """The flag that leaves cpu, memory, network and disk, from the list that this version's own help gives."""
    said = subprocess.run([program, "--help"], check=False, capture_output=True, text=True)
    options = re.search(r"metrics to be disabled\. Options are (.*?)\. \(default", said.stdout + said.stderr, re.S)
    names = set(re.findall(r"'(\w+)'", options.group(1))) if options else set()
    return [f"--disable_metrics={','.join(sorted(names - KEPT))}"]


class Cadvisor:
    """One that runs; paused except while it is measured."""

    def __init__(self, program: str, name: str, options: list[str], docker: str | None) -> None:
        self.name = name
        self._docker = docker
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            program, "--listen_ip=127.0.0.1", f"--port={port}", "--housekeeping_interval=1s",
            "--allow_dynamic_housekeeping=false", *options,
        ]  # fmt: skip
        if docker:
            command.append(f"--docker=unix://{docker}")
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pause(self) -> None:
        """Stop it where it is."""
        self._process.send_signal(signal.SIGSTOP)

    def seconds(self, count: int, rounds: int) -> Series:
        """What each second of it costs, with what it makes dockerd do, per container of ``count``: all there are.

        Raises SystemExit where it has ended.
        """
        self._process.send_signal(signal.SIGCONT)
        time.sleep(AWAKE_SECONDS)
        pids = [self._process.pid]
        if self._docker:
            pids += docker_pids(self._docker, [])
        series = Series(self.name)
        for _ in range(rounds):
            cpu, wall = cpu_nsec(pids), time.perf_counter_ns()
            time.sleep(1)
            series.add(cpu_nsec(pids) - cpu, time.perf_counter_ns() - wall, count)
        if self._process.poll() is not None:
            raise SystemExit(f"bench: {self.name} has ended by itself ({self._process.returncode})")
        self.pause()
        return series

    def rss_mb(self) -> float:
        """Resident megabytes."""
        return rss_mb(self._process.pid)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def cadvisors(warm_up: float, docker: str | None) -> Iterator[list[Cadvisor]]:
    """One as it comes and one trimmed, both warm and paused; none where there is no program."""
    program = available()
    made: list[Cadvisor] = []
    try:
        if program:
            made.append(Cadvisor(program, "cAdvisor, 1 s, as it comes", [], docker))
            made.append(Cadvisor(program, "cAdvisor, 1 s, trimmed", trimmed(program), docker))
            time.sleep(warm_up)
        for each in made:
            each.pause()
        yield made
    finally:
        for each in made:
            each.stop()
