"""Where the service listens, where it refuses to, and how it says so."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgstatd.config.address import DEFAULT_LISTEN, Address, BadAddress, parse_address
from fakehost import FakeHost
from helpers import UNIFIED, tree
from recordedhosts import recorded_host
from wire import ALL, COMMAND, ENVIRONMENT, agent, run

PLAYED = ("--host-root", recorded_host(UNIFIED))
HOST = ("--host-root", tree(UNIFIED, "t1"))


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short path: a unix socket's has 107 bytes at most."""
    path = tmp_path_factory.mktemp("s") / "s"
    yield path
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def get(port: int, target: str, host: str = "127.0.0.1") -> tuple[int, object]:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def get_unix(path: Path, target: str) -> tuple[int, object]:
    connection = http.client.HTTPConnection("localhost", timeout=60)
    with contextlib.closing(connection):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def refused(*arguments: str) -> str:
    """The one sentence with which the service does not start."""
    ran = run("serve", *HOST, *arguments)
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == ""
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith("cgstatd: ")
    return sentence


# -- addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9713", Address(host="127.0.0.1", port=9713)),
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


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "0:0"])
def test_an_address_the_network_can_reach_is_refused_with_what_to_do(address: str) -> None:
    sentence = refused("--listen", address)
    assert "refusing to listen on " in sentence and "can be reached from the network" in sentence
    assert "127.0.0.1" in sentence and "unix:/PATH" in sentence


@pytest.mark.parametrize("host", ["a" * 64 + ".b", "a..b"])
def test_a_host_name_that_cannot_be_one_is_a_sentence(host: str) -> None:
    assert refused("--listen", f"{host}:0").startswith("cgstatd: ")


def test_the_default_address_is_private() -> None:
    assert parse_address(DEFAULT_LISTEN) == Address(host="127.0.0.1", port=9713)


# -- the process


def test_it_serves_a_recorded_host_and_says_where() -> None:
    with agent(*PLAYED, "--listen", "127.0.0.1:0", "--env-id", "5") as process:
        assert process.serving.startswith("level=info serving http://127.0.0.1:")
        assert "env=5 cgroups=unified" in process.serving
        status, found = get(process.port, f"{ALL}?env=5")
        assert status == 200 and isinstance(found, list) and len(found) > 10
        assert get(process.port, ALL + "?env=1")[0] == 404
        process.process.terminate()
        assert process.end() == (0, "level=info stopping\n")


def test_it_serves_several_addresses(socket_path: Path) -> None:
    with agent(*HOST, "--listen", "127.0.0.1:0", "--listen", f"unix:{socket_path}") as process:
        assert f"unix:{socket_path}" in process.serving
        assert get(process.port, "/healthz") == (200, {"status": "ok"})
        assert get_unix(socket_path, "/healthz") == (200, {"status": "ok"})


def test_ipv6_loopback(socket_path: Path) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with agent(*HOST, "--listen", "[::1]:0") as process:
        assert "http://[::1]:" in process.serving
        assert get(process.port, "/healthz", "::1")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_service_at_once_with_exit_code_0(number: signal.Signals) -> None:
    with agent(*HOST, "--listen", "127.0.0.1:0") as process:
        process.process.send_signal(number)
        assert process.end() == (0, "level=info stopping\n")


def test_a_signal_during_a_request_for_one_container_ends_it_soon() -> None:
    with agent(*HOST, "--listen", "127.0.0.1:0", "--baseline", "0") as process:
        with socket.create_connection(("127.0.0.1", process.port)) as client:
            client.sendall(b"GET /api/containers/burn/stats HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.05)
            process.process.terminate()
            with contextlib.suppress(ConnectionResetError):  # a busy machine had not begun to read the request yet
                assert client.recv(65536).startswith(b"HTTP/1.1 ")
        assert process.end()[0] == 0


def test_a_port_in_use_is_exit_code_2_and_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sentence = refused("--listen", f"127.0.0.1:{port}")
    assert sentence.startswith(f"cgstatd: --listen 127.0.0.1:{port}: ")
    assert "in use" in sentence


def test_an_address_of_another_host_is_exit_code_2_and_a_sentence() -> None:
    assert "--listen 192.0.2.1:9713" in refused("--listen", "192.0.2.1:9713")


def test_one_refused_address_among_several_is_enough() -> None:
    assert "refusing" in refused("--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0")


def test_an_address_that_is_none_is_exit_code_2_and_says_what_is_expected() -> None:
    ran = run("serve", *HOST, "--listen", "nonsense")
    assert ran.returncode == 2
    assert "nonsense: expected HOST:PORT" in ran.stderr.splitlines()[-1]


# -- the unix socket


def test_a_stale_socket_is_replaced(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(socket_path))
    assert stat.S_ISSOCK(socket_path.stat().st_mode)
    with agent(*HOST, "--listen", f"unix:{socket_path}"):
        assert get_unix(socket_path, "/healthz")[0] == 200


def test_the_service_can_be_started_again_on_its_socket(socket_path: Path) -> None:
    for _ in range(2):
        with agent(*HOST, "--listen", f"unix:{socket_path}") as process:
            assert get_unix(socket_path, "/healthz")[0] == 200
            process.process.kill()


@pytest.mark.parametrize("option", ["--listen=unix:{}", "--docker-socket={}"])
def test_an_agent_that_ends_takes_its_socket_with_it(socket_path: Path, option: str) -> None:
    """What stayed there was a docker.sock that no daemon answers."""
    with agent(*HOST, "--listen", "127.0.0.1:0", option.format(socket_path)) as process:
        assert socket_path.is_socket()
        process.process.terminate()
        assert process.end()[0] == 0
    assert not socket_path.exists()


def test_what_somebody_else_made_at_its_path_stays(socket_path: Path) -> None:
    with agent(*HOST, "--listen", f"unix:{socket_path}") as process:
        socket_path.unlink()
        socket_path.write_text("precious")
        process.process.terminate()
        assert process.end() == (0, "level=info stopping\n")
    assert socket_path.read_text() == "precious"


def test_a_socket_that_somebody_serves_is_not_taken_from_them(socket_path: Path) -> None:
    with agent(*HOST, "--listen", f"unix:{socket_path}"):
        sentence = refused("--listen", f"unix:{socket_path}")
        assert sentence.startswith(f"cgstatd: --listen unix:{socket_path}: ")
        assert get_unix(socket_path, "/healthz")[0] == 200


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
        refused("--listen", f"unix:{socket_path}")
        assert socket_path.exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "precious", tmp_path / "target"
    target.write_text("precious")
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    before = path.lstat()
    sentence = refused("--listen", f"unix:{path}")
    assert sentence.startswith(f"cgstatd: --listen unix:{path}: ")
    assert path.lstat().st_ino == before.st_ino and target.read_text() == "precious"


@pytest.mark.parametrize("path", ["/no/such/directory/x.sock", "/dev/null/x.sock", "/tmp/" + "x" * 200])
def test_a_socket_that_cannot_be_made_is_exit_code_2_and_a_sentence(path: str) -> None:
    assert refused("--listen", f"unix:{path}").startswith(f"cgstatd: --listen unix:{path}: ")


# -- the host


def test_a_host_without_cgroups_is_exit_code_2_and_a_sentence(tmp_path: Path) -> None:
    ran = run("serve", "--host-root", str(tmp_path), "--listen", "127.0.0.1:0")
    assert ran.returncode == 2
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith("cgstatd: no cgroup file system is mounted below ")


def test_a_host_root_that_is_not_there_is_exit_code_2_and_a_sentence() -> None:
    ran = run("serve", "--host-root", "/no/such/root")
    assert (ran.returncode, ran.stderr) == (2, "cgstatd: --host-root /no/such/root: no such directory\n")


def test_the_copy_that_a_recorded_host_is_played_from_is_removed(tmp_path: Path) -> None:
    command = ("env", f"TMPDIR={tmp_path}", *COMMAND)
    with agent(*PLAYED, "--listen", "127.0.0.1:0", command=command) as process:
        assert len(list(tmp_path.iterdir())) == 1
        process.process.terminate()
        assert process.end()[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_the_log_level_decides_what_is_said(tmp_path: Path, socket_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.add("a")
    directory = host.record(tmp_path / "recorded")
    started = subprocess.Popen(
        [*COMMAND, "serve", "--host-root", directory, "--listen", f"unix:{socket_path}", "--log-level", "error"],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        encoding="utf-8",
    )
    answer = None
    while answer is None and started.poll() is None:
        with contextlib.suppress(OSError):
            answer = get_unix(socket_path, "/healthz")
        time.sleep(0.02)
    started.terminate()
    assert started.communicate(timeout=60)[1] == "" and started.returncode == 0
