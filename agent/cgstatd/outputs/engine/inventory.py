"""What dashboards ask beside containers: images, networks, volumes, as far as the state on disk says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...basics.text import printable
from .containers import Listed, metadata_of, summary
from .names import hashed, id_of, image_id_of


def _images(several: Iterable[Listed]) -> Mapping[str, tuple[set[str], int]]:
    """The images of containers: id -> (names, number of containers)."""
    found: dict[str, tuple[set[str], int]] = {}
    for each in several:
        metadata = metadata_of(each.identity)
        key = image_id_of(metadata)
        names, number = found.get(key, (set(), 0))
        if metadata.image and not metadata.image.startswith("sha256:"):
            names.add(_tagged(printable(metadata.image)))
        found[key] = names, number + 1
    return found


def _tagged(image: str) -> str:
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def images(several: Iterable[Listed]) -> list[dict[str, Any]]:
    """GET /images/json: those that containers name. Their sizes are not known: -1, Docker's word for that."""
    return [each for each in _all_images(several) if each["RepoTags"] or each["RepoDigests"]]


def _all_images(several: Iterable[Listed]) -> list[dict[str, Any]]:
    return [
        {
            "Containers": number,
            "Created": 0,
            "Id": key,
            "Labels": None,
            "ParentId": "",
            "RepoDigests": [name for name in sorted(names) if "@" in name],
            "RepoTags": [name for name in sorted(names) if "@" not in name],
            "SharedSize": -1,
            "Size": -1,
        }
        for key, (names, number) in sorted(_images(several).items())
    ]


def image(several: Iterable[Listed], wanted: str) -> dict[str, Any] | None:
    """GET /images/{name}/json; None: no container names it."""
    name, digits = _tagged(wanted), wanted.removeprefix("sha256:")
    for each in _all_images(several):
        own = each["Id"].removeprefix("sha256:")
        if name in (*each["RepoTags"], *each["RepoDigests"]) or (len(digits) >= _SHORTEST and own.startswith(digits)):
            return {
                **{key: each[key] for key in ("Id", "RepoTags", "RepoDigests", "Size")},
                "Parent": "",
                "Comment": "",
                "Created": "0001-01-01T00:00:00Z",
                "Author": "",
                "Architecture": "",
                "Os": "linux",
                "Config": {"Env": [], "Cmd": None, "Labels": None},
                "RootFS": {"Type": "layers", "Layers": []},
                "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
            }
    return None


_SHORTEST = 4
"""Digits of an id that are taken for one."""
_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}


def networks(several: Iterable[Listed]) -> list[dict[str, Any]]:
    """GET /networks: those that containers are in, with the addresses that these have in them."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in several:
        metadata = metadata_of(each.identity)
        for endpoint in metadata.endpoints:
            name = printable(endpoint.network)
            key = printable(endpoint.network_id) or hashed(metadata.runtime, metadata.owner_uid, name)
            network = found.setdefault((name, key), _network(name, key))
            if each.running and endpoint.id:
                network["Containers"][id_of(each.identity)] = {
                    "Name": each.identity.name,
                    "EndpointID": printable(endpoint.id),
                    "MacAddress": printable(endpoint.mac),
                    "IPv4Address": f"{endpoint.address}/{endpoint.prefix}" if endpoint.address else "",
                    "IPv6Address": f"{endpoint.address6}/{endpoint.prefix6}" if endpoint.address6 else "",
                }
    return [found[key] for key in sorted(found)]


def _network(name: str, key: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Id": key,
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": _DRIVERS.get(name, ""),
        "EnableIPv6": False,
        "IPAM": {"Driver": "", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }


def network(several: Iterable[Listed], wanted: str) -> dict[str, Any] | None:
    """GET /networks/{name}; None: no container is in it."""
    found = networks(several)
    return next((each for each in found if wanted in (each["Name"], each["Id"])), None) or next(
        (each for each in found if len(wanted) >= _SHORTEST and each["Id"].startswith(wanted)), None
    )


def volumes() -> dict[str, Any]:
    """GET /volumes: the agent does not look at them, and says so."""
    return {"Volumes": [], "Warnings": ["cgstatd does not look at volumes"]}


def disk_usage(several: Sequence[Listed], now: float) -> dict[str, Any]:
    """GET /system/df: who is there; sizes are not known."""
    return {
        "LayersSize": 0,
        "Images": images(several),
        "Containers": [{**summary(each, now), "SizeRw": 0, "SizeRootFs": 0} for each in several],
        "Volumes": [],
        "BuildCache": [],
    }
