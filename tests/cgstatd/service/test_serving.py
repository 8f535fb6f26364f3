"""Where the service listens, where it refuses to, and how it says so."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgstatd.config.address import DEFAULT_LISTEN, Address, BadAddress, parse_address
from forked import Forked
from helpers import UNIFIED, tree
from recordedhosts import recorded_host
from wire import ALL, COMMAND, ENVIRONMENT, agent, run

PLAYED = ("--host-root", recorded_host(UNIFIED))
HOST = ("--host-root", tree(UNIFIED, "t1"))
HEALTHY = (200, {"status": "ok"})


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short path: a unix socket's has 107 bytes at most."""
    path = tmp_path_factory.mktemp("s") / "s"
    yield path
    path.unlink(missing_ok=True)


def get(where: int | Path, target: str = "/healthz", host: str = "127.0.0.1") -> tuple[int, object]:
    """Of a port or a Unix socket."""
    connection = http.client.HTTPConnection(host, where if isinstance(where, int) else None, timeout=60)
    with contextlib.closing(connection):
        if isinstance(where, Path):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(where))
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def refused(*listen: str) -> str:
    """The one sentence with which the service does not start."""
    ran = run("serve", *HOST, *(word for each in listen for word in ("--listen", each)))
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith("cgstatd: ")
    return sentence


# -- addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (DEFAULT_LISTEN, Address(host="127.0.0.1", port=9713)),
        ("localhost:0", Address(host="localhost", port=0)),
        ("[::1]:65535", Address(host="::1", port=65535)),
        ("::1:80", Address(host="::1", port=80)),
        ("unix:/run/x.sock", Address(path="/run/x.sock")),
    ],
)
def test_an_address_is_host_and_port_or_a_unix_socket(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "9713", ":9713", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:65536",
     "127.0.0.1:1.0", "127.0.0.1: 80", "[]:80", "127.0.0.1:" + "9" * 5000, "unix:",
     "unix:x", "unix:./x", "127.0.0.1:\u0663"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(BadAddress, match=r"expected HOST:PORT|needs an absolute path"):
        parse_address(text)


@pytest.mark.parametrize("listen", [("0.0.0.0:0",), ("[::]:0",), ("0:0",), ("127.0.0.1:0", "0.0.0.0:0")])
def test_an_address_the_network_can_reach_is_refused_with_what_to_do(listen: tuple[str, ...]) -> None:
    sentence = refused(*listen)
    assert "refusing to listen on " in sentence and "can be reached from the network" in sentence
    assert "127.0.0.1" in sentence and "unix:/PATH" in sentence


@pytest.mark.parametrize(
    "address",
    ["a..b:0", "a" * 64 + ".b:0", "192.0.2.1:9713", "unix:/no/such/directory/x.sock", "unix:/dev/null/x.sock",
     "unix:/tmp/" + "x" * 200],
)  # fmt: skip
def test_where_nothing_can_listen_is_one_sentence(address: str) -> None:
    assert refused(address).startswith(f"cgstatd: --listen {address}: ")


# -- the process


def test_it_serves_a_recorded_host_at_several_addresses_and_says_where(socket_path: Path, tmp_path: Path) -> None:
    arguments = (*PLAYED, "--listen", "127.0.0.1:0", "--listen", f"unix:{socket_path}", "--env-id", "5")
    with agent(*arguments, command=("env", f"TMPDIR={tmp_path}", *COMMAND)) as process:
        assert process.serving.startswith("level=info serving http://127.0.0.1:")
        assert f"unix:{socket_path}" in process.serving and "env=5 cgroups=unified" in process.serving
        status, found = get(process.port, f"{ALL}?env=5")
        assert status == 200 and isinstance(found, list) and len(found) > 10
        assert get(process.port, ALL + "?env=1")[0] == 404
        assert get(socket_path) == HEALTHY
        assert len(list(tmp_path.iterdir())) == 1, "the copy that a recorded host is played from"
        process.process.terminate()
        assert process.end() == (0, "level=info stopping\n")
    assert list(tmp_path.iterdir()) == []


def test_ipv6_loopback() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with agent(*HOST, "--listen", "[::1]:0") as process:
        assert "http://[::1]:" in process.serving
        assert get(process.port, host="::1") == HEALTHY


@pytest.mark.parametrize("asked", [False, True], ids=["idle", "during a request for one container"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_exit_code_0(number: signal.Signals, asked: bool) -> None:
    with agent(*HOST, "--listen", "127.0.0.1:0", "--baseline", "0") as process:
        with socket.create_connection(("127.0.0.1", process.port)) as client:
            if asked:
                client.sendall(b"GET /api/containers/burn/stats HTTP/1.1\r\nHost: x\r\n\r\n")
            process.process.send_signal(number)
            with contextlib.suppress(ConnectionResetError):  # a busy machine had not begun to read the request yet
                assert client.recv(65536).startswith(b"HTTP/1.1 ") or not asked
        assert process.end() == (0, "level=info stopping\n")


def test_the_log_level_decides_what_is_said(socket_path: Path) -> None:
    process = Forked(["serve", *HOST, "--listen", f"unix:{socket_path}", "--log-level", "error"], ENVIRONMENT)
    answer = None
    while answer is None and process.poll() is None:
        with contextlib.suppress(OSError):
            answer = get(socket_path)
        time.sleep(0.02)
    process.terminate()
    assert (process.communicate()[1], process.wait()) == ("", 0)


# -- the unix socket


@pytest.mark.parametrize("option", ["--listen=unix:{}", "--docker-socket={}"])
def test_a_stale_socket_is_replaced_and_an_agent_that_ends_takes_its_own_with_it(
    socket_path: Path, option: str
) -> None:
    """What stayed there was a docker.sock that no daemon answers."""
    with agent(*HOST, "--listen", f"unix:{socket_path}") as killed:
        killed.process.kill()
    assert socket_path.is_socket()
    with agent(*HOST, "--listen", "127.0.0.1:0", option.format(socket_path)) as process:
        assert get(socket_path, "/version" if "docker" in option else "/healthz")[0] == 200
        process.process.terminate()
        assert process.end()[0] == 0
    assert not socket_path.exists()


def test_a_socket_that_somebody_serves_is_not_taken_from_them_nor_what_somebody_made_there(socket_path: Path) -> None:
    with agent(*HOST, "--listen", f"unix:{socket_path}") as process:
        assert refused(f"unix:{socket_path}").startswith(f"cgstatd: --listen unix:{socket_path}: ")
        assert get(socket_path) == HEALTHY
        socket_path.unlink()
        socket_path.write_text("precious")
        process.process.terminate()
        assert process.end() == (0, "level=info stopping\n")
    assert socket_path.read_text() == "precious"


def test_a_socket_whose_backlog_is_full_is_not_taken_either(socket_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(socket_path))
        busy.listen(0)
        for _ in range(2):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(socket_path))
        refused(f"unix:{socket_path}")
        assert socket_path.exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "precious", tmp_path / "target"
    target.write_text("precious")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mknod(path, 0o600 | (stat.S_IFIFO if kind == "fifo" else stat.S_IFREG))
    before = path.lstat()
    assert refused(f"unix:{path}").startswith(f"cgstatd: --listen unix:{path}: ")
    assert path.lstat().st_ino == before.st_ino and target.read_text() == "precious"
