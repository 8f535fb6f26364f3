"""Notices, watchdog and passed sockets, with a manager made of a socket."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cgstatd.service.systemd import Notifier, passed_sockets
from forked import Forked
from helpers import UNIFIED, tree
from wire import COMMAND, ENVIRONMENT

Started = Forked | subprocess.Popen[str]
HOST = ("--host-root", tree(UNIFIED, "t1"))


class Manager:
    """What systemd is to a service: a socket for notices, and a parent that passes sockets."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(self.address)
        self._sock.settimeout(60)

    def notice(self) -> list[str]:
        """The lines of the next notice."""
        return self._sock.recv(4096).decode().split("\n")

    def until(self, line: str) -> list[str]:
        """The notice that has a line, others skipped."""
        while line not in (notice := self.notice()):
            pass
        return notice

    def silent_for(self, seconds: float) -> bool:
        """Whether nothing comes."""
        self._sock.settimeout(seconds)
        try:
            self.notice()
        except TimeoutError:
            return True
        finally:
            self._sock.settimeout(60)
        return False

    @contextmanager
    def start(self, *arguments: str, passed: socket.socket | None = None, **environment: str) -> Iterator[Started]:
        """The agent as systemd starts it: the passed socket is descriptor 3, and LISTEN_PID the process itself."""
        environment = ENVIRONMENT | {"NOTIFY_SOCKET": self.address} | environment
        process: Started
        if passed is None:
            process = Forked(["serve", *arguments], environment)
        else:
            code = (
                "import os, sys; os.dup2(int(sys.argv[1]), 3); "
                "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='cgstatd.socket'); "
                "os.execv(sys.argv[2], sys.argv[2:])"
            )
            fd = passed.fileno()
            command = [sys.executable, "-c", code, str(fd), *COMMAND, "serve", *arguments]
            process = subprocess.Popen(
                command, stderr=subprocess.PIPE, env=environment, encoding="utf-8", pass_fds=[fd]
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()

    def close(self) -> None:
        """Go away."""
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


# -- notices


def test_a_notice_is_one_datagram(manager: Manager) -> None:
    Notifier({"NOTIFY_SOCKET": manager.address}).send("READY=1", "STATUS=serving")
    assert manager.notice() == ["READY=1", "STATUS=serving"]


def test_an_abstract_address_is_one_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0cgstatd-test-{os.getpid()}")
        sock.settimeout(60)
        Notifier({"NOTIFY_SOCKET": f"@cgstatd-test-{os.getpid()}"}).send("READY=1")
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "relative", "/no/such/socket", "@nobody-listens", "/" + "x" * 200])
def test_without_a_manager_a_notice_goes_nowhere(address: str | None) -> None:
    notifier = Notifier({} if address is None else {"NOTIFY_SOCKET": address})
    notifier.send("READY=1")
    notifier.reloading()
    assert notifier.wanted == (address or "").startswith(("/", "@"))


def test_a_manager_that_does_not_read_stops_nobody(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    for _ in range(2000):
        notifier.send("STATUS=" + "x" * 200)


def test_reloading_says_when_on_the_clock_that_systemd_compares(manager: Manager) -> None:
    before = time.monotonic_ns() // 1000
    Notifier({"NOTIFY_SOCKET": manager.address}).reloading()
    first, second = manager.notice()
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "x"}, 0.0),
        ({"WATCHDOG_USEC": "0"}, 0.0),
    ],
)
def test_the_watchdog_is_this_process_own(environment: dict[str, str], seconds: float) -> None:
    assert Notifier(environment).watchdog_seconds == seconds


# -- passed sockets


@pytest.mark.parametrize("environment", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
                                         {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())}])  # fmt: skip
def test_sockets_that_are_not_for_this_process_are_left_alone(environment: dict[str, str]) -> None:
    assert passed_sockets(environment) == []


def with_descriptor_3(code: str) -> str:
    """What Python says in a process of its own, where descriptor 3 can be anything."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import os, socket\nfrom cgstatd.service.systemd import *\n{code}\n"
         "os.dup2(fd, 3)\n"
         "try:\n"
         "    found = passed_sockets({'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid()), 'LISTEN_FDNAMES': 'web'})\n"
         "    print(found[0].family.name, os.get_inheritable(3))\n"
         "except BadSocket as error:\n    print(error)\n"],
        capture_output=True, text=True, env=ENVIRONMENT, check=True,
    )  # fmt: skip
    return ran.stdout.strip()


def test_tcp_and_unix_sockets_are_taken_and_not_handed_on() -> None:
    assert with_descriptor_3("s = socket.create_server(('127.0.0.1', 0)); fd = s.fileno()") == "AF_INET False"
    unix = "s = socket.socket(socket.AF_UNIX); s.bind('\\0cgstatd-' + str(os.getpid())); s.listen(); fd = s.fileno()"
    assert with_descriptor_3(unix) == "AF_UNIX False"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("fd = os.open('/dev/null', os.O_RDONLY)", "is no socket"),
        ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); fd = s.fileno()", "use ListenStream="),
        ("s, t = socket.socketpair(); fd = s.fileno()", "use Accept=no"),
    ],
)
def test_what_cannot_be_listened_on_is_named_with_what_to_do(code: str, words: str) -> None:
    said = with_descriptor_3(code)
    assert said.startswith("descriptor 3 (web) that systemd passed ") and words in said


# -- the service


def test_the_service_is_ready_alive_reloaded_and_stopping(manager: Manager) -> None:
    with manager.start(*HOST, "--listen", "127.0.0.1:0", WATCHDOG_USEC="900000") as process:
        ready = manager.until("READY=1")
        assert re.fullmatch(r"STATUS=serving http://127\.0\.0\.1:\d+, \d+ containers", ready[1])
        manager.until("WATCHDOG=1")
        process.send_signal(signal.SIGSTOP)  # it gives no sign of life then
        time.sleep(0.3)
        while not manager.silent_for(1.0):
            pass
        process.send_signal(signal.SIGCONT)
        manager.until("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        manager.until("RELOADING=1")
        manager.until("READY=1")
        process.terminate()
        manager.until("STOPPING=1")
        assert process.wait() == 0


def test_a_passed_socket_is_served_instead_of_the_configured_address(manager: Manager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as taken:
        in_use = f"127.0.0.1:{taken.getsockname()[1]}"
        with manager.start(*HOST, "--listen", in_use, passed=listening) as process:
            port = listening.getsockname()[1]
            assert f"http://127.0.0.1:{port}," in manager.until("READY=1")[1]
            with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                client.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.0 200")
            process.terminate()
            assert f"not used: listen={in_use}" in process.communicate()[1]


def test_a_passed_socket_that_the_network_reaches_needs_tokens_all_the_same(manager: Manager) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening, manager.start(*HOST, passed=listening) as process:
        assert "refusing to listen on 0.0.0.0:" in process.communicate()[1]
        assert process.wait() == 2
