"""Records what clients really send, through a proxy before an agent over the demo's host.

    PYTHONPATH=agent:cgroups:tests:tools/fixtures python tools/clients/record.py [--only docker-cli,prometheus]

For each client one file in tests/golden/conversations/, which tests/golden/test_conversations.py replays. A client that
is not on this machine is left out: docker, docker compose, docker-py (the system's Python), aiodocker (this Python),
dockerode (Node.js with NODE_PATH), prometheus, and Dockhand's requests as its published source has them: those of its
pages sent by Chromium, those of its server by Node.js.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import hostarchive
from conversation import PORT, SOCKET, Exchange, said, written
from helpers import DEMO, PROJECT
from recordedhosts import archive
from wire import agent

KEPT = Path(PROJECT) / "tests/golden/conversations"
SECONDS = 60.0
ONE = "shop-db-1"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


class Proxy:
    """Passes on what comes at a socket, and notes it."""

    def __init__(self, over: str, port: int, target: str) -> None:
        self.over, self.port, self._target = over, port, target
        self.exchanges: list[Exchange] = []
        self.why = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        opened = asyncio.open_unix_connection(self._target) if self._target else None
        back, forth = await (opened or asyncio.open_connection("127.0.0.1", self.port))
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._exchange(reader, writer, back, forth)
        finally:
            for each in (writer, forth):
                each.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        forth: asyncio.StreamWriter,
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = fields(head)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        forth.write(head.encode() + body)
        why, self.why = self.why, ""
        place = len(self.exchanges)
        exchange = Exchange(self.over, head.strip().replace("\r\n", "\n"), body.decode(), "", why)
        self.exchanges.append(exchange)
        answer = await back.readuntil(b"\r\n\r\n")
        writer.write(answer)
        status, got = int(answer.split()[1]), fields(answer.decode())
        whole, content = await self._body(head, status, got, back, reader, writer)
        self.exchanges[place] = exchange._replace(said=said(status, got, content, whole=whole))
        if not whole:
            raise ConnectionError

    async def _body(
        self,
        head: str,
        status: int,
        headers: dict[str, str],
        back: asyncio.StreamReader,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> tuple[bool, bytes]:
        """Whether it came to its end, and what came; without the frames of chunks."""
        if head.startswith("HEAD") or status in (204, 304):
            return True, b""
        content = bytearray()

        async def passing() -> None:
            if headers.get("transfer-encoding") != "chunked":
                content.extend(await back.readexactly(int(headers["content-length"])))
                writer.write(bytes(content))
                return
            size = 1
            while size:
                line = await back.readuntil(b"\r\n")
                size = int(line, 16)
                data = await back.readexactly(size + 2)
                content.extend(data[:-2])
                writer.write(line + data)

        passed, left = asyncio.ensure_future(passing()), asyncio.ensure_future(self._left(reader, writer))
        await asyncio.wait([passed, left], return_when=asyncio.FIRST_COMPLETED)
        whole = passed.done() and passed.exception() is None
        for each in (passed, left):
            each.cancel()
        await asyncio.gather(passed, left, return_exceptions=True)
        return whole, bytes(content)

    @staticmethod
    async def _left(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the client has hung up: nothing is read of what it sends next."""
        while not (reader.at_eof() or writer.is_closing()):
            await asyncio.sleep(0.01)


def fields(head: str) -> dict[str, str]:
    """The headers, their names in lower case."""
    pairs = (line.partition(":") for line in head.split("\r\n")[1:] if line)
    return {name.lower(): value.strip() for name, _, value in pairs}


class Place:
    """The proxies before an agent."""

    def __init__(self, folder: Path, socket: Proxy, port: Proxy, path: str, url: str) -> None:
        self.folder, self.socket, self.port, self.path, self.url = folder, socket, port, path, url

    async def run(self, *command: str, why: str = "", **environment: str) -> None:
        """Play a command to its end; ``why``: how it is shown."""
        self.socket.why = self.port.why = why
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**ENVIRONMENT, "HOME": str(self.folder), **environment},
        )
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate()
        print(f"  {why or command[0]}: {process.returncode}", out.decode()[-200:].strip().replace("\n", " | ")[:160])


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """An agent of its own over the demo's host."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hostarchive.unpack(archive(DEMO), str(folder / "host"))
        inner = str(folder / "agent.sock")
        arguments = ("--listen", "127.0.0.1:0", "--host-root", str(folder / "host"), "--docker-socket", inner)
        with agent(*arguments) as started:
            path = str(folder / "docker.sock")
            socket, port = Proxy(SOCKET, 0, inner), Proxy(PORT, started.port, "")
            first = await asyncio.start_unix_server(socket.serve, path)
            second = await asyncio.start_server(port.serve, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{second.sockets[0].getsockname()[1]}"
            async with first, second:
                yield Place(folder, socket, port, path, url)


async def docker_cli(at: Place) -> None:
    for arguments in (
        "version", "info", "ps -a", "ps --filter label=com.docker.compose.project=shop", f"inspect {ONE}",
        f"stats --no-stream {ONE}", "stats --no-stream", f"top {ONE}", "events --since 1 --until 2", "images",
        "network ls", "network inspect shop_default", "volume ls", "system df", f"port {ONE}", f"logs {ONE}",
        f"stop {ONE}", f"exec {ONE} ls", f"rm -f {ONE}", "inspect nothing",
    ):  # fmt: skip
        await at.run("docker", "-H", f"unix://{at.path}", *arguments.split(), why=f"$ docker {arguments}")


async def docker_compose(at: Place) -> None:
    for arguments in ("compose ls", "compose -p shop ps", "compose -p shop stop"):
        await at.run("docker", "-H", f"unix://{at.path}", *arguments.split(), why=f"$ docker {arguments}")


DOCKER_PY = """
import docker, sys
client = docker.DockerClient("unix://" + sys.argv[1], version="auto")
client.ping(), client.info(), client.version(), client.df()
client.containers.list(all=True), client.containers.list(filters={"label": "com.docker.compose.project=shop"})
one = client.containers.get(sys.argv[2])
one.stats(stream=False), one.top(), client.images.list(), client.networks.list(), client.volumes.list()
stream = one.stats(decode=True); next(stream); stream.close()
list(client.events(since=1, until=2))
for refused in (one.stop, one.logs, one.pause):
    try:
        refused()
    except docker.errors.APIError:
        pass
"""
AIODOCKER = """
import aiodocker, asyncio, sys

async def main():
    async with aiodocker.Docker(url="unix://" + sys.argv[1]) as docker:
        await docker.version(), await docker.system.info(), await docker.containers.list(all=True)
        one = await docker.containers.get(sys.argv[2])
        await one.show(), await one.stats(stream=False)
        async for _ in one.stats(stream=True):
            break
        await docker.images.list(), await docker.networks.list(), await docker.volumes.list()
        for refused in (one.stop(), one.restart(), docker.containers.get("nothing")):
            try:
                await refused
            except aiodocker.exceptions.DockerError:
                pass

asyncio.run(main())
"""
DOCKERODE = """
const Docker = require("dockerode"), docker = new Docker({socketPath: process.argv[2]})
;(async () => {
    await docker.ping(); await docker.info(); await docker.version(); await docker.listContainers({all: true})
    const one = docker.getContainer(process.argv[3])
    await one.inspect(); await one.stats({stream: false}); await one.top()
    const stream = await one.stats({stream: true})
    await new Promise(done => stream.once("data", () => { stream.destroy(); done() }))
    await docker.listImages(); await docker.listNetworks(); await docker.listVolumes(); await docker.df()
    const events = await docker.getEvents({since: 1, until: 2})
    await new Promise(done => { events.on("end", done); events.resume() })
    const refused = [() => one.stop(), () => docker.getContainer("nothing").inspect()]
    for (const each of refused) await each().catch(() => {})
})()
"""
DOCKHAND_SERVER = """
const [, , url, one] = process.argv
const headers = {"Content-Type": "application/json", "X-Hawser-Token": "token"}
const ask = async (path, more = {}) => { await (await fetch(url + path, {headers, ...more})).text() }
;(async () => {
    for (const path of ["/_hawser/info", "/_ping", "/info", "/version", "/containers/json?all=true", "/images/json",
        "/volumes", "/networks", "/system/df", `/containers/${one}/json`, `/containers/${one}/stats?stream=false`,
        `/containers/${one}/top`]) await ask(path)
    await ask(`/containers/${one}/stop`, {method: "POST"})
})()
"""


async def docker_py(at: Place) -> None:
    await at.run("/usr/bin/python3", "-c", DOCKER_PY, at.path, ONE)


async def aiodocker(at: Place) -> None:
    await at.run(sys.executable, "-c", AIODOCKER, at.path, ONE)


async def dockerode(at: Place) -> None:
    await node(at, DOCKERODE, at.path, NODE_PATH=os.environ.get("NODE_PATH", ""))


async def dockhand_server(at: Place) -> None:
    await node(at, DOCKHAND_SERVER, at.url)


async def node(at: Place, script: str, *arguments: str, **environment: str) -> None:
    (at.folder / "client.cjs").write_text(script)
    await at.run("node", str(at.folder / "client.cjs"), *arguments, ONE, **environment)


async def dockhand_pages(at: Place) -> None:
    """stores/containers.ts reads the stream of all, the inspect dialogue one container; clients of its API the list."""
    from playwright.async_api import async_playwright

    from browser.driver import ARGUMENTS, EXECUTABLE

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        page = await browser.new_page()
        await page.goto(f"{at.url}/healthz")
        at.port.exchanges.clear()
        for path in (
            "stats/stream?env=1",
            f"{ONE}/stats?env=1",
            "stats?env=1",
            "stats/stream?env=2",
            "nothing/stats?env=1",
        ):
            await page.evaluate(f"fetch('/api/containers/{path}').then(answer => answer.text())")
        await browser.close()


PROMETHEUS = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: cgstatd
    static_configs: [{{targets: ["{target}"]}}]
  - job_name: containers
    docker_sd_configs: [{{host: "unix://{socket}", refresh_interval: 1s}}]
    relabel_configs: [{{action: drop, source_labels: [job]}}]
"""


async def prometheus(at: Place) -> None:
    config = at.folder / "prometheus.yml"
    config.write_text(PROMETHEUS.format(target=at.url.removeprefix("http://"), socket=at.path))
    process = await asyncio.create_subprocess_exec(
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={at.folder}/tsdb",
        "--web.listen-address=127.0.0.1:0", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            while len(at.port.exchanges) < 2 or len(at.socket.exchanges) < 4:
                await asyncio.sleep(0.05)
    finally:
        process.terminate()
        await process.wait()


def unique(exchanges: list[Exchange]) -> list[Exchange]:
    """Without those that were the same as one before."""
    found: dict[tuple[str, str, str], Exchange] = {}
    why = ""
    for each in exchanges:
        key, why = (each.over, each.head, each.body), each.why or why
        if key not in found:
            found[key], why = each._replace(why=why), ""
    return [*found.values()]


def has(*programs: str) -> Callable[[], bool]:
    """Whether these programs are here."""
    return lambda: all(map(shutil.which, programs))


CLIENTS: dict[str, tuple[Callable[[Place], Awaitable[None]], Callable[[], bool]]] = {
    "docker-cli": (docker_cli, has("docker")),
    "docker-compose": (docker_compose, has("docker")),
    "docker-py": (docker_py, has("/usr/bin/python3")),
    "aiodocker": (aiodocker, lambda: True),
    "dockerode": (dockerode, lambda: bool(shutil.which("node") and os.environ.get("NODE_PATH"))),
    "prometheus": (prometheus, has("prometheus")),
    "dockhand-pages": (dockhand_pages, lambda: True),
    "dockhand-server": (dockhand_server, has("node")),
}


async def main() -> None:
    """Each of them."""
    parser = argparse.ArgumentParser(description="Record what clients send.")
    parser.add_argument("--only", default=",".join(CLIENTS), metavar="CLIENT[,CLIENT]", help=f"of {', '.join(CLIENTS)}")
    KEPT.mkdir(exist_ok=True)
    for name in parser.parse_args().only.split(","):
        play, here = CLIENTS[name]
        if not here():
            print(f"{name}: not on this machine")
            continue
        async with place() as at:
            await play(at)
            found = unique([each for each in (*at.port.exchanges, *at.socket.exchanges) if each.said])
        (KEPT / f"{name}.txt").write_text(written(found).replace(at.url.removeprefix("http://"), "127.0.0.1:9713"))
        print(f"{name}: {len(found)} requests")


if __name__ == "__main__":
    asyncio.run(main())
