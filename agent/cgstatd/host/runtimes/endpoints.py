"""Addresses and published ports, as Docker and Podman store them. What is malformed costs these, never the name.

Docker, ``NetworkSettings`` of config.v2.json::

    {"Networks": {"shop_default": {"NetworkID": "25ab…", "EndpointID": "3da0…", "Gateway": "172.18.0.1",
                  "IPAddress": "172.18.0.3", "IPPrefixLen": 16, "MacAddress": "02:42:ac:12:00:03"}},
     "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null}}

Podman, ``networkStatus`` of ContainerState.JSON and ``newPortMappings`` of ContainerConfig.JSON::

    {"podman": {"interfaces": {"eth0": {"subnets": [{"ipnet": "10.88.0.2/16", "gateway": "10.88.0.1"}],
                                        "mac_address": "9a:…"}}}}
    [{"host_ip": "", "container_port": 80, "host_port": 8080, "range": 1, "protocol": "tcp"}]
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import msgspec

from ...basics.text import is_number
from .base import Endpoint, Port
from .labels import cut

MOST_ENDPOINTS = 16
MOST_PORTS = 64
_PORTS = 65_536
_MOST_BYTES = 64 << 10
"""Of JSON; longer ones are never decoded."""


class _Network(msgspec.Struct, frozen=True):
    network_id: str | None = msgspec.field(name="NetworkID", default=None)
    endpoint_id: str | None = msgspec.field(name="EndpointID", default=None)
    gateway: str | None = msgspec.field(name="Gateway", default=None)
    address: str | None = msgspec.field(name="IPAddress", default=None)
    prefix: int | None = msgspec.field(name="IPPrefixLen", default=None)
    gateway6: str | None = msgspec.field(name="IPv6Gateway", default=None)
    address6: str | None = msgspec.field(name="GlobalIPv6Address", default=None)
    prefix6: int | None = msgspec.field(name="GlobalIPv6PrefixLen", default=None)
    mac: str | None = msgspec.field(name="MacAddress", default=None)


class _Binding(msgspec.Struct, rename="pascal", frozen=True):
    host_ip: str | None = None
    host_port: str | None = None


class NetworkSettings(msgspec.Struct, rename="pascal", frozen=True):
    """Docker's, of config.v2.json."""

    networks: dict[str, _Network | None] | None = None
    ports: dict[str, list[_Binding] | None] | None = None


class _Subnet(msgspec.Struct, frozen=True):
    ipnet: str = ""
    gateway: str = ""


class _Interface(msgspec.Struct, frozen=True):
    subnets: list[_Subnet] | None = None
    mac_address: str = ""


class _Status(msgspec.Struct, frozen=True):
    interfaces: dict[str, _Interface] | None = None


class _Mapping(msgspec.Struct, frozen=True):
    container_port: int = 0
    host_port: int = 0
    host_ip: str = ""
    protocol: str = "tcp"
    range: int = 1


_parse_settings = msgspec.json.Decoder(NetworkSettings | None).decode
_parse_status = msgspec.json.Decoder(dict[str, _Status | None] | None).decode
_parse_mappings = msgspec.json.Decoder(list[_Mapping] | None).decode
Found = tuple[tuple[Endpoint, ...], tuple[Port, ...]]


def docker_network(raw: msgspec.Raw) -> Found:
    """Endpoints and ports of ``NetworkSettings``; empty where they are malformed."""
    try:
        found = (_parse_settings(raw) if len(memoryview(raw)) <= _MOST_BYTES else None) or NetworkSettings()
    except (ValueError, RecursionError):
        return (), ()
    networks = islice((found.networks or {}).items(), MOST_ENDPOINTS)
    endpoints = tuple(_endpoint(name, network or _Network()) for name, network in networks)
    return endpoints, tuple(islice(_ports(found.ports or {}), MOST_PORTS))


def _endpoint(name: str, network: _Network) -> Endpoint:
    return Endpoint(
        network=cut(name) or "",
        network_id=(network.network_id or "")[:64],
        id=(network.endpoint_id or "")[:64],
        address=_address(network.address),
        prefix=_prefix(network.prefix),
        gateway=_address(network.gateway),
        address6=_address(network.address6),
        prefix6=_prefix(network.prefix6),
        gateway6=_address(network.gateway6),
        mac=(network.mac or "")[:32],
    )


def _address(text: str | None) -> str:
    """An address as the ipaddress module writes it; empty for anything else."""
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        return ""


def _prefix(number: int | None) -> int:
    return number if number is not None and 0 <= number <= 128 else 0


def _number(text: str | None) -> int:
    return int(text) if text and is_number(text, 5) and int(text) < _PORTS else 0


def _ports(ports: dict[str, list[_Binding] | None]) -> Iterator[Port]:
    for key, bindings in ports.items():
        text, _, protocol = key.partition("/")
        number = _number(text)
        if not number or protocol not in ("tcp", "udp", "sctp"):
            continue
        if not bindings:
            yield Port(number, protocol)
        for each in bindings or ():
            yield Port(number, protocol, _number(each.host_port), _address(each.host_ip))


def podman_endpoints(raw: msgspec.Raw) -> tuple[Endpoint, ...]:
    """Of ``networkStatus``; empty where it is malformed."""
    try:
        found = (_parse_status(raw) if len(memoryview(raw)) <= _MOST_BYTES else None) or {}
    except (ValueError, RecursionError):
        return ()
    each = islice(found.items(), MOST_ENDPOINTS)
    return tuple(_of_status(name, status or _Status()) for name, status in each)


def _of_status(name: str, status: _Status) -> Endpoint:
    endpoint = Endpoint(cut(name) or "")
    for interface in islice((status.interfaces or {}).values(), 1):
        endpoint = replace(endpoint, mac=interface.mac_address[:32])
        for subnet in interface.subnets or ():
            try:
                net = ipaddress.ip_interface(subnet.ipnet)
            except ValueError:
                continue
            gateway = _address(subnet.gateway)
            six = "6" if net.version == 6 else ""
            if not getattr(endpoint, f"address{six}"):
                own = {"address": str(net.ip), "prefix": net.network.prefixlen, "gateway": gateway}
                endpoint = replace(endpoint, **{f"{key}{six}": value for key, value in own.items()})  # type: ignore[arg-type]
    return endpoint


def podman_ports(raw: msgspec.Raw) -> tuple[Port, ...]:
    """Of ``newPortMappings``; empty where they are malformed."""
    try:
        found = (_parse_mappings(raw) if len(memoryview(raw)) <= _MOST_BYTES else None) or []
    except (ValueError, RecursionError):
        return ()
    ports = (
        Port(each.container_port + step, each.protocol[:4], each.host_port + step, _address(each.host_ip))
        for each in found
        for step in range(max(0, min(each.range, MOST_PORTS)))
        if 0 < each.container_port + step < _PORTS and 0 <= each.host_port + step < _PORTS
    )
    return tuple(islice(ports, MOST_PORTS))
