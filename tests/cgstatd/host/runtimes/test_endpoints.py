"""Addresses and ports as Docker and Podman store them."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from cgstatd.host.runtimes.base import Endpoint, Port
from cgstatd.host.runtimes.endpoints import MOST_ENDPOINTS, MOST_PORTS, docker_network, podman_endpoints, podman_ports


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(value if isinstance(value, bytes) else json.dumps(value).encode())


NETWORK = {
    "NetworkID": "25ab", "EndpointID": "3da0", "Gateway": "172.18.0.1", "IPAddress": "172.18.0.3", "IPPrefixLen": 16,
    "IPv6Gateway": "fd00::1", "GlobalIPv6Address": "fd00::3", "GlobalIPv6PrefixLen": 64,
    "MacAddress": "02:42:ac:12:00:03",
    "Aliases": ["secret-alias"],
}  # fmt: skip
ENDPOINT = Endpoint(
    "shop", "25ab", "3da0", "172.18.0.3", 16, "172.18.0.1", "fd00::3", 64, "fd00::1", "02:42:ac:12:00:03"
)


def test_docker_network_settings() -> None:
    ports = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "53/udp": None,
    }
    assert docker_network(raw({"Networks": {"shop": NETWORK}, "Ports": ports})) == (
        (ENDPOINT,),
        (Port(80, "tcp", 8080, "0.0.0.0"), Port(80, "tcp", 8080, "::"), Port(53, "udp")),
    )


OF_DOCKER: tuple[object, ...] = (
    None, {}, {"Networks": None, "Ports": None}, {"Networks": {}}, [], {"Networks": 3}, {"Ports": {"80/tcp": 3}},
    b"[" * 5000, b"{" + b" " * (1 << 17) + b"}",
)  # fmt: skip
OF_PODMAN: tuple[object, ...] = (None, 3, {"a": 3}, b"[" * 5000, b"[" + b" " * (1 << 17) + b"]")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((docker_network, value) for value in OF_DOCKER),
        *((read, value) for read in (podman_endpoints, podman_ports) for value in OF_PODMAN),
    ],
)
def test_what_says_nothing_is_malformed_or_huge_costs_the_addresses_alone(
    read: Callable[[msgspec.Raw], tuple[object, ...]], value: object
) -> None:
    assert not any(read(raw(value)))


def test_an_address_or_a_port_that_is_none_is_not_shown() -> None:
    found = docker_network(raw({
        "Networks": {"x": {"IPAddress": "<script>", "IPPrefixLen": 999, "Gateway": "1.2.3.4.5"}, "y": None},
        "Ports": {"http/tcp": None, "70000/tcp": None, "80/<b>": None,
                  "81/tcp": [{"HostIp": "here", "HostPort": "-1"}]},
    }))  # fmt: skip
    assert found == ((Endpoint("x"), Endpoint("y")), (Port(81, "tcp"),))


def test_of_very_many_the_first_are_kept() -> None:
    endpoints, ports = docker_network(raw({
        "Networks": {f"n{n}": {} for n in range(100)}, "Ports": {f"{n}/tcp": None for n in range(1, 1000)}
    }))  # fmt: skip
    assert (len(endpoints), len(ports)) == (MOST_ENDPOINTS, MOST_PORTS)
    assert len(podman_ports(raw([{"container_port": 1, "host_port": 1, "range": 60000}]))) == MOST_PORTS


def test_podman() -> None:
    status = {"podman": {"interfaces": {"eth0": {
        "subnets": [{"ipnet": "10.88.0.2/16", "gateway": "10.88.0.1"}, {"ipnet": "fd00::2/64", "gateway": "fd00::1"}],
        "mac_address": "9a:00:00:00:00:01"}}}}  # fmt: skip
    assert podman_endpoints(raw(status)) == (
        Endpoint("podman", "", "", "10.88.0.2", 16, "10.88.0.1", "fd00::2", 64, "fd00::1", "9a:00:00:00:00:01"),
    )
    mappings = [{"host_ip": "", "container_port": 80, "host_port": 8080, "range": 2, "protocol": "tcp"}]
    assert podman_ports(raw(mappings)) == (Port(80, "tcp", 8080), Port(81, "tcp", 8081))
