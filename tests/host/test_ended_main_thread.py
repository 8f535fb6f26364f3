"""A container whose first process' main thread has ended, or whose first process has, while others run on.

Made of the running kernel's own cgroups, one in each tree that may be written to, with a network namespace of its own
and one interface that has received 100 bytes. Of a zombie the kernel shows no net/dev: another thread or process of
the container has its figures.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from cgroupfs import Hierarchy, Root
from cgstatd.sampling.open_host import HostOptions, open_host
from wire import ALL, STREAM, serving

from .conftest import Trees, end_all, enter, own_cgroup

pytestmark = pytest.mark.host
RECEIVED = 100
FIRST = """
import ctypes, fcntl, os, socket, struct, sys, threading, time

how = sys.argv[1]
sys.stdin.readline()  # it is in its cgroup now
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x40000000):  # CLONE_NEWNET
    sys.exit("unshare: " + os.strerror(ctypes.get_errno()))
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"eth0", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH22x", b"eth0", 1))  # SIOCSIFFLAGS, IFF_UP
os.write(tun, b"\\x45" + bytes(int(sys.argv[2]) - 1))
first = os.getpid()

def tell():
    while True:
        with open(f"/proc/{first}/status") as status:
            if "State:\\tZ" in status.read():
                break
        time.sleep(0.005)
    print("ready", flush=True)
    time.sleep(100_000)

if "process" in how and os.fork() == 0:
    tell()
if "thread" in how:
    threading.Thread(target=(lambda: time.sleep(100_000)) if "process" in how else tell).start()
    libc.pthread_exit(None)
os._exit(0)
"""


@pytest.fixture
def container(hierarchy: Hierarchy) -> Iterator[tuple[str, Trees]]:
    """(a container's id, its directories)."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        pytest.skip(f"no interface can be made: /dev/net/tun: {error.strerror}")
    each = secrets.token_hex(32)
    with own_cgroup(hierarchy, each, "memory") as directories:
        yield each, directories


@contextlib.contextmanager
def running(how: str, directories: Trees) -> Iterator[None]:
    """The container's processes; its first one is a zombie, or its main thread is, when this begins."""
    command = [sys.executable, "-S", "-c", FIRST, how, str(RECEIVED)]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdin is not None and first.stdout is not None
    try:
        enter(directories, first.pid)
        first.stdin.write("go\n")
        first.stdin.close()
        assert first.stdout.readline() == "ready\n"
        yield
    finally:
        end_all(next(iter(directories)))
        first.kill()
        first.wait()
        first.stdout.close()


@pytest.mark.parametrize("how", ["a thread", "a thread and a process", "a process"])
async def test_a_container_that_lives_on_without_its_main_thread_is_shown_everywhere(
    container: tuple[str, Trees], how: str
) -> None:
    """``how``: what runs on."""
    each, directories = container
    with running(how, directories):
        async with serving(open_host(Root("/"), HostOptions())) as server:
            one = (await server.ask(f"/api/containers/{each}/stats")).json
            array = (await server.ask(ALL)).json
            stream = await server.ask(STREAM)
            listed = (await server.ask("/api/containers")).json
            detail = (await server.ask(f"/api/containers/{each}/detail")).json
            metrics = (await server.ask("/metrics")).body.decode().splitlines()
    assert memory_and_received(one) == (True, RECEIVED)
    assert [memory_and_received(entry) for entry in array if entry["id"] == each] == [(True, RECEIVED)]
    told = [data for name, data in stream.events if name == "stat" and data["id"] == each]
    assert [memory_and_received(entry) for entry in told] == [(True, RECEIVED)]
    assert [entry["state"] for entry in listed if entry["id"] == each] == ["running"]
    assert detail["container"]["state"] == "running"
    assert detail["network"]["rxBytes"]["value"] == RECEIVED
    (series,) = (line for line in metrics if line.startswith("container_network_receive_bytes_total") and each in line)
    assert series.endswith(f'interface="eth0"}} {RECEIVED}')


def memory_and_received(stats: dict[str, Any]) -> tuple[bool, int]:
    """Whether it has memory, and what it received."""
    return stats["memoryUsage"] > 0, stats["networkRx"]
