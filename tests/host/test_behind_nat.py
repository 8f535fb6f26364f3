"""An agent in a network namespace that nothing outside can connect to calls a Dockhand server outside."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockhand import TOKEN, dockhand
from fakehost import FakeHost
from wire import COMMAND, agent

pytestmark = pytest.mark.host
OUTSIDE, INSIDE = "198.51.100.1", "198.51.100.2"  # RFC 5737: of no network there is


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def namespace() -> Iterator[str]:
    """The pid of a process in a namespace of its own, with one cable to this one."""
    missing = [each for each in ("ip", "nsenter", "unshare") if not shutil.which(each)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing) or 'nothing else'}")
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 300"], stdout=subprocess.PIPE, encoding="ascii"
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        pid, name = str(process.pid), f"cgs{process.pid}"
        try:
            _run("ip", "link", "add", name, "type", "veth", "peer", "name", "out", "netns", pid)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no veth here: {error.stderr.decode().strip()}")
        _run("ip", "address", "add", f"{OUTSIDE}/30", "dev", name)
        _run("ip", "link", "set", name, "up")
        for command in (("address", "add", f"{INSIDE}/30", "dev", "out"), ("link", "set", "out", "up"),
                        ("link", "set", "lo", "up")):  # fmt: skip
            _run("nsenter", "--target", pid, "--net", "ip", *command)
        yield pid
    finally:
        process.kill()
        process.communicate()


async def test_a_server_asks_an_agent_that_it_cannot_connect_to(namespace: str, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.add("web")
    (tmp_path / "token").write_text(TOKEN)
    async with dockhand(host=OUTSIDE) as (found, url):
        arguments = ("--host-root", host.record(tmp_path / "recorded", 1), "--listen", "127.0.0.1:0",
                     "--dockhand-url", url, "--dockhand-token-file", str(tmp_path / "token"))  # fmt: skip
        inside = ("nsenter", "--target", namespace, "--net", "--", *COMMAND)
        with agent(*arguments, command=inside) as running:
            link = await found.link()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((INSIDE, running.port), 5)
            [listed] = json.loads((await link.ask("/containers/json"))["body"])
            assert listed["Names"] == ["/web"]
            assert (await link.ask("/containers/web/stop", "POST"))["statusCode"] == 403
