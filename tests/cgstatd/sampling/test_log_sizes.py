"""The size of a log in the detail and in /metrics: one look a minute, which costs no figures where it hangs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cgstatd.sampling.log_sizes import EVERY_NS, HANGS, NO_LOG, log_of
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, container_id
from wire import serving


def log_file(host: FakeHost, name: str) -> Path:
    found = container_id(name)
    return host.path / f"var/lib/docker/containers/{found}/{found}-json.log"


def write(host: FakeHost, name: str, size: int) -> None:
    log_file(host, name).write_bytes(b"x" * size)
    log_file(host, name).chmod(0o640)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A container with a log of 10 bytes."""
    host = FakeHost(tmp_path)
    host.add("a")
    write(host, "a", 10)
    return host


@pytest.fixture
def sampler(host: FakeHost) -> Iterator[Sampler]:
    found = host.sampler()
    yield found
    found.close()


def test_it_is_looked_at_once_a_minute(host: FakeHost, sampler: Sampler) -> None:
    (container,) = sampler.containers()

    def size(now_ns: int) -> int | None:
        found = log_of(sampler.names, container, now_ns).size
        return None if found is None else found.size_bytes

    assert size(0) == 10
    write(host, "a", 20)
    assert (size(EVERY_NS - 1), size(EVERY_NS)) == (10, 20)
    log_file(host, "a").unlink()
    assert log_of(sampler.names, container, 2 * EVERY_NS) == (None, NO_LOG, "")


def test_a_look_that_hangs_costs_the_size_alone(sampler: Sampler) -> None:
    (container,) = sampler.containers()
    with container.naming:
        assert log_of(sampler.names, container, 0) == (None, HANGS, "")
    assert container.log is None
    known = log_of(sampler.names, container, 0)
    with container.naming:
        assert log_of(sampler.names, container, EVERY_NS) == known
    with container.reading():  # the lock of its figures is not needed
        assert log_of(sampler.names, container, EVERY_NS).size == known.size


async def test_the_detail_and_the_metrics_have_it_or_say_why_not(host: FakeHost) -> None:
    host.add("b")
    write(host, "a", 4711)
    async with serving(host.sampler()) as server:
        log = (await server.ask("/api/containers/a/detail")).json["log"]
        assert log["bytes"]["value"] == 4711 and log["bytes"]["unit"] == "bytes" and log["files"]["value"] == 1
        assert log["bytes"]["source"].startswith("/var/lib/docker/containers/")
        assert (await server.ask("/api/containers/b/detail")).json["log"]["bytes"]["absent"] == NO_LOG
        lines = (await server.ask("/metrics")).body.decode().splitlines()
        found = [line for line in lines if line.startswith("container_log_filesystem_used_bytes{")]
        assert len(found) == 1 and 'name="a"' in found[0] and found[0].endswith(" 4711")
