"""The agent under test, as a client and as a process."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

SHIPPED = Path("systemd")
UNIT = Path("/etc/systemd/system/cgstatd.service")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Agent:
    """One instance of the project's unit: unprivileged, CAP_DAC_READ_SEARCH alone.

    ``options`` are added by a drop-in; ``shipped``: a drop-in that the project has for some hosts.
    """

    def __init__(self, name: str = "cgstatd", port: int = 9713, options: str = "", shipped: str = "") -> None:
        self.unit = f"{name}.service"
        self.port = port
        if not UNIT.with_name(self.unit).exists():
            UNIT.with_name(self.unit).write_text(UNIT.read_text())
        drop_in = UNIT.with_name(f"{self.unit}.d") / "options.conf"
        drop_in.parent.mkdir(exist_ok=True)
        command = f"/usr/bin/cgstatd serve --listen 127.0.0.1:{port} {options}"
        # The unit's socket for monitors can be one agent's only.
        no_socket = "" if name == "cgstatd" else "Environment=CGSTATD_DOCKER_SOCKET=\n"
        drop_in.write_text(f"[Service]\nExecStart=\nExecStart={command}\n{no_socket}")
        if shipped:
            (drop_in.parent / shipped).write_text((SHIPPED / shipped).read_text())
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        self.restart()

    def restart(self) -> None:
        """Start anew; returns once it answers."""
        subprocess.run(["systemctl", "restart", self.unit], check=True)
        deadline = time.monotonic() + 90
        while True:
            try:
                assert self.get("/healthz")[0] == 200
                return
            except OSError:
                assert time.monotonic() < deadline, f"{self.unit} does not answer:\n{self.journal()[-3000:]}"
                time.sleep(0.2)

    def stop(self) -> None:
        """Stop the unit."""
        subprocess.run(["systemctl", "stop", self.unit], check=True)

    def raw(self, path: str) -> tuple[int, bytes]:
        """Status and body of a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a request."""
        status, body = self.raw(path)
        return status, json.loads(body)

    def one(self, container: str) -> dict[str, Any]:
        """The figures of one container."""
        status, found = self.get(f"/api/containers/{container}/stats?env=1")
        assert status == 200, (container, status, found)
        return dict(found)

    def all(self) -> dict[str, dict[str, Any]]:
        """The figures of every running container, by id."""
        status, found = self.get("/api/containers/stats?env=1")
        assert status == 200, (status, found)
        return {each["id"]: each for each in found}

    def stream(self) -> list[tuple[str, dict[str, Any]]]:
        """(event, data) of one round of the stream."""
        status, body = self.raw("/api/containers/stats/stream?env=1")
        assert status == 200, (status, body)
        found = re.findall(r"^event: (\w+)\ndata: (.*)\n$", body.decode(), re.MULTILINE)
        return [(event, json.loads(data)) for event, data in found]

    def journal(self) -> str:
        """What it logged."""
        command = ["journalctl", "--no-pager", "-o", "cat", "-u", self.unit]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @property
    def pid(self) -> int:
        """Its main process."""
        command = ["systemctl", "show", "-P", "MainPID", self.unit]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def holds(self) -> dict[str, int]:
        """What a leak would grow: descriptors, threads, inotify watches."""
        proc = f"/proc/{self.pid}"
        watches = 0
        for name in os.listdir(f"{proc}/fdinfo"):
            try:
                watches += Path(f"{proc}/fdinfo/{name}").read_text().count("inotify wd:")
            except OSError:
                continue
        descriptors = len(os.listdir(f"{proc}/fd"))
        return {"descriptors": descriptors, "threads": len(os.listdir(f"{proc}/task")), "watches": watches}

    def status(self, key: str) -> str:
        """A line of /proc/<pid>/status."""
        found = re.search(rf"^{key}:\s*(.*)$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None, key
        return found[1]
