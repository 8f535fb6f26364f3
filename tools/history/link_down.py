"""Cuts the link between a host and its server for most of a (shortened) day, and counts what is missing afterwards.

    python tools/history/link_down.py [--minutes 12]

Two network namespaces with one cable. In one an agent with its rounds on disk (`history_dir`) and vmagent with the
configuration that is shipped; in the other VictoriaMetrics and a client of `/api/history` that keeps its cursor. The
link is up for a sixth of the time, then down for two thirds; meanwhile the agent is restarted in order, and later
killed with SIGKILL and started again. Then the link is back. An observer beside the agent asks it on loopback all the
time.

Right is: the client has every round once and in order that the observer saw, but for those of the last minute before
the kill, which were not stored yet (the round behind them says so); VictoriaMetrics has every scrape that vmagent made,
once. Exit code 1 else. Needs root, ip, nsenter, vmagent and victoria-metrics (Debian: victoria-metrics).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "cgstatd"]
EDGE, SERVER = "198.51.100.1", "198.51.100.2"  # RFC 5737: of no network there is
AGENT_PORT, STORE_PORT, OWN_PORT = 9713, 8428, 8429
INTERVAL = 1.0
PATIENCE_SECONDS = 900.0
STORED_EACH_SECONDS = 60.0
"""What a kill may cost: rounds are stored so often."""
_CLONE_NEWNET = 0x40000000


def enter(pid: int) -> None:
    """Let the calling thread make its sockets in the network namespace of a process (setns(2))."""
    with open(f"/proc/{pid}/ns/net") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Namespaces:
    """Two network namespaces, by a process in each, and their cable."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.edge, self.server = (self._made(stack) for _ in range(2))
        self.run(
            self.edge, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.server)
        )
        for pid, name, address in ((self.edge, "near", EDGE), (self.server, "far", SERVER)):
            self.run(pid, "ip", "address", "add", f"{address}/30", "dev", name)
            for each in ("lo", name):
                self.run(pid, "ip", "link", "set", each, "up")

    @staticmethod
    def _made(stack: contextlib.ExitStack) -> int:
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 86400"], stdout=subprocess.PIPE)
        stack.callback(process.communicate)
        stack.callback(process.kill)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    @staticmethod
    def inside(pid: int, *command: str) -> list[str]:
        return ["nsenter", "--target", str(pid), "--net", "--", *command]

    def run(self, pid: int, *command: str) -> None:
        run(*self.inside(pid, *command))

    def link(self, *, up: bool) -> None:
        """Plug the cable in, or pull it."""
        self.run(self.edge, "ip", "link", "set", "near", "up" if up else "down")


class Client:
    """Asks for rounds behind its cursor, in a thread and a network namespace of its own."""

    def __init__(self, namespace: int, address: str, token: str, pause: float) -> None:
        self.rounds: list[dict[str, Any]] = []
        """Each with ``asked`` and ``at``: when it was asked for and seen (monotonic)."""
        self.truncated = self.failures = 0
        self.latest = ""
        self._cursor = ""
        self._where = namespace, address, token, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        namespace, address, token, pause = self._where
        enter(namespace)
        while not self._over.wait(pause):
            try:
                while self._page(address, token):
                    pass
            except (OSError, http.client.HTTPException, ValueError):
                self.failures += 1

    def _page(self, address: str, token: str) -> bool:
        """One page; whether another one is there already."""
        asked, connection = time.monotonic(), http.client.HTTPConnection(address, AGENT_PORT, timeout=3)
        with contextlib.closing(connection):
            path = f"/api/history?limit=100&cursor={self._cursor}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != 200:
            raise ValueError(answer.status)
        head, *lines = map(json.loads, body.splitlines())
        self.truncated += head["truncated"]
        self.latest = head["latest"] or ""
        self.rounds += [line | {"asked": asked, "at": time.monotonic()} for line in lines]
        if lines:
            self._cursor = lines[-1]["cursor"]
        return bool(lines) and self._cursor != self.latest

    @property
    def caught_up(self) -> bool:
        return bool(self._cursor) and self._cursor == self.latest

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


class Edge:
    """The agent and vmagent of the host."""

    def __init__(self, namespaces: Namespaces, folder: Path, token: str, stack: contextlib.ExitStack) -> None:
        self._inside, self._folder = namespaces, folder
        self.agent = self._start()
        stack.callback(self._end)
        text = (PROJECT / "systemd/forward.yml").read_text().replace("15s", f"{INTERVAL:g}s")
        (folder / "forward.yml").write_text(text)
        flags = ["-envflag.enable", f"-promscrape.config={folder}/forward.yml", f"-remoteWrite.tmpDataPath={folder}/q",
                 "-remoteWrite.maxDiskUsagePerURL=1GB", "-remoteWrite.queues=1", "-memory.allowedBytes=64MiB",
                 f"-httpListenAddr=127.0.0.1:{OWN_PORT}"]  # fmt: skip
        known = {"CGSTATD_FORWARD_HOST": "edge", "CGSTATD_ENV_ID": "1", "CGSTATD_TOKEN": token, "loggerLevel": "ERROR"}
        known["remoteWrite_url"] = f"http://{SERVER}:{STORE_PORT}/api/v1/write"
        command = namespaces.inside(namespaces.edge, "vmagent", *flags)
        self.vmagent = subprocess.Popen(command, env={**os.environ, **known}, stderr=subprocess.DEVNULL)
        stack.callback(self.vmagent.wait)
        stack.callback(self.vmagent.kill)

    def _start(self) -> subprocess.Popen[bytes]:
        folder = self._folder
        listen = (f"127.0.0.1:{AGENT_PORT}", f"{EDGE}:{AGENT_PORT}")
        options = [word for address in listen for word in ("--listen", address)]
        options += ["--tokens", f"{folder}/tokens.json", "--history-dir", f"{folder}/rounds"]
        options += ["--history-interval", f"{INTERVAL:g}", "--history", "300", "--log-level", "warning"]
        return subprocess.Popen(self._inside.inside(self._inside.edge, *COMMAND, "serve", *options))

    def _end(self) -> None:
        self.agent.kill()
        self.agent.wait()

    def restart(self, how: signal.Signals) -> None:
        """End the agent, and start it again."""
        self.agent.send_signal(how)
        self.agent.wait()
        self.agent = self._start()


def _in(namespace: int, ask: Callable[[], Any]) -> Any:
    """The answer to something that is asked from a namespace."""
    found: list[Any] = []

    def asked() -> None:
        enter(namespace)
        found.append(ask())

    thread = threading.Thread(target=asked)
    thread.start()
    thread.join()
    if not found:
        raise SystemExit("no answer")
    return found[0]


def _get(address: str, port: int, path: str) -> str:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def scrapes_made(namespaces: Namespaces) -> int:
    """What vmagent has counted itself."""
    text = _in(namespaces.edge, lambda: _get("127.0.0.1", OWN_PORT, "/metrics"))
    found = (line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("vm_promscrape_scrapes_total"))
    return int(next(found))


def scrapes_stored(namespaces: Namespaces) -> list[int]:
    """When they were, milliseconds: a scrape that fails has a sample too (``up`` is 0)."""

    def ask() -> str:
        _get("127.0.0.1", STORE_PORT, "/internal/force_flush")
        return _get("127.0.0.1", STORE_PORT, "/api/v1/export?match[]=up")

    return sorted(time for line in _in(namespaces.server, ask).splitlines() for time in json.loads(line)["timestamps"])


def judge_rounds(client: Client, observer: Client, killed_at: float) -> bool:
    """Whether the client has what there was; prints the figures.

    What the killed agent had not stored may be missing: the last rounds of its run, a minute of them at most.
    """
    have = Counter(each["cursor"] for each in client.rounds)
    seen = {each["cursor"]: each for each in observer.rounds}
    missing = [cursor for cursor in seen if cursor not in have]
    killed = next(_run(cursor) for cursor in reversed(seen) if seen[cursor]["at"] <= killed_at)
    of_it = [cursor for cursor in seen if _run(cursor) == killed]
    lost = [cursor for cursor in missing if _run(cursor) == killed]
    allowed = lost == of_it[len(of_it) - len(lost) :] and len(lost) <= STORED_EACH_SECONDS / INTERVAL + 5
    told = not lost or any(each["gap"] and each["at"] > killed_at for each in client.rounds)
    twice = sum(count - 1 for count in have.values())
    order = [place for place, cursor in enumerate(seen) if cursor in have]
    print(f"rounds the observer saw      {len(seen):7}\nrounds the client has        {len(have):7}")
    print(f"twice                        {twice:7}\nmissing                      {len(missing) - len(lost):7}")
    print(f"not stored when it was killed{len(lost):7}   (the next round says so: {'yes' if told else 'no'})")
    places = {cursor: place for place, cursor in enumerate(seen)}
    in_order = order == [places[cursor] for cursor in have if cursor in places]
    return not twice and len(missing) == len(lost) and allowed and told and in_order


def _run(cursor: str) -> str:
    """The run of the agent that a cursor is of."""
    return cursor.rpartition("-")[0]


def judge_scrapes(made: int, stored: list[int]) -> bool:
    """The same of the scrapes."""
    apart = [later - earlier for earlier, later in pairwise(stored)]
    holes = sum(each > 1500 * INTERVAL for each in apart)
    print(f"scrapes vmagent made         {made:7}\nscrapes in the store         {len(stored):7}")
    print(f"holes between them           {holes:7}\nlost                         {max(0, made - len(stored)):7}")
    return len(stored) >= made and len(set(stored)) == len(stored)


def until(what: Callable[[], bool], words: str) -> None:
    """Wait for it, however busy the machine is."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        if time.monotonic() > end:
            raise SystemExit(f"after {PATIENCE_SECONDS:g} s still not: {words}")
        time.sleep(0.2)


def token_of(folder: Path) -> str:
    command = [*COMMAND, "token", "--tokens", f"{folder}/tokens.json", "new", "--name", "server", "--env", "1"]
    command += ["--allow", "containers:view,metrics:view"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


@contextlib.contextmanager
def store(namespaces: Namespaces, folder: Path) -> Iterator[None]:
    """VictoriaMetrics in the server's namespace."""
    flags = [f"-storageDataPath={folder}/store", f"-httpListenAddr=:{STORE_PORT}", "-memory.allowedBytes=64MiB"]
    command = namespaces.inside(namespaces.server, "victoria-metrics", *flags, "-loggerLevel=ERROR")
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def play(minutes: float, folder: Path) -> bool:
    """The whole day."""
    with contextlib.ExitStack() as stack:
        namespaces = Namespaces(stack)
        token = token_of(folder)
        stack.enter_context(store(namespaces, folder))
        edge = Edge(namespaces, folder, token, stack)
        observer = Client(namespaces.edge, "127.0.0.1", token, INTERVAL / 4)
        client = Client(namespaces.server, EDGE, token, INTERVAL)
        sixth = minutes * 10
        until(lambda: bool(client.rounds), "the first round is there")
        time.sleep(sixth)
        namespaces.link(up=False)
        began = time.monotonic()
        time.sleep(sixth * 1.3)
        edge.restart(signal.SIGTERM)
        time.sleep(sixth * 1.3)
        killed_at = time.monotonic()
        edge.restart(signal.SIGKILL)
        time.sleep(sixth * 1.4)
        back = time.monotonic()
        down, came = back - began, sum(began < each["asked"] < back for each in client.rounds)
        namespaces.link(up=True)
        until(lambda: client.rounds[-1]["at"] > back and client.caught_up, "the client has caught up")
        print(f"link down for {down:.0f} s; meanwhile the client got {came} rounds")
        print(f"caught up {time.monotonic() - back:.1f} s after it was back")
        time.sleep(sixth)
        made, counted_ms = scrapes_made(namespaces), time.time_ns() // 1_000_000
        until(lambda: len(scrapes_stored(namespaces)) >= made, "the store has every scrape")
        edge.vmagent.send_signal(signal.SIGTERM)
        edge.vmagent.wait()
        observer.stop()
        until(lambda: client.rounds[-1]["round"] >= observer.rounds[-1]["round"], "the client has the last round")
        client.stop()
        right = judge_rounds(client, observer, killed_at)
        counted_ms += int(500 * INTERVAL)  # a scrape's time is that of its schedule, of which it may be ahead
        stored = [each for each in scrapes_stored(namespaces) if each <= counted_ms]
        return judge_scrapes(made, stored) and right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12.0, help="the length of the day (default: 12)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cgstatd-link-") as folder:
        os.chmod(folder, 0o700)
        right = play(arguments.minutes, Path(folder))
    print("nothing is lost" if right else "WRONG")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
