"""What dashboards ask beside containers: images, networks, volumes, as far as the containers' state on disk says it.

When an image was made and how large it is are not known: Docker's command line shows ``N/A`` and ``0B``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...basics.text import printable
from .containers import Listed, metadata_of, summary
from .names import ZERO_TIME, hashed, id_of, image_id_of


def _images(several: Iterable[Listed]) -> Mapping[str, tuple[set[str], int]]:
    """The images of containers: id -> (names, number of containers)."""
    found: dict[str, tuple[set[str], int]] = {}
    for each in several:
        metadata = metadata_of(each.identity)
        key = image_id_of(metadata)
        names, number = found.get(key, (set(), 0))
        if metadata.image and not metadata.image.startswith("sha256:"):
            names.add(tagged(printable(metadata.image)))
        found[key] = names, number + 1
    return found


def tagged(image: str) -> str:
    """An image's name as Docker completes it."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def images(several: Iterable[Listed]) -> list[dict[str, Any]]:
    """GET /images/json: those that containers name."""
    return [each for each in _all_images(several) if each["RepoTags"] or each["RepoDigests"]]


def _all_images(several: Iterable[Listed]) -> list[dict[str, Any]]:
    return [
        {
            "Containers": number,
            "Created": _NEVER,
            "Id": key,
            "Labels": None,
            "ParentId": "",
            "RepoDigests": [name for name in sorted(names) if "@" in name],
            "RepoTags": [name for name in sorted(names) if "@" not in name],
            "SharedSize": -1,
            "Size": 0,
        }
        for key, (names, number) in sorted(_images(several).items())
    ]


def image(several: Iterable[Listed], wanted: str) -> dict[str, Any] | None:
    """GET /images/{name}/json; None: no container names it."""
    name, digits = tagged(wanted), wanted.removeprefix("sha256:")
    for each in _all_images(several):
        own = each["Id"].removeprefix("sha256:")
        if name in (*each["RepoTags"], *each["RepoDigests"]) or (len(digits) >= _SHORTEST and own.startswith(digits)):
            return {
                **{key: each[key] for key in ("Id", "RepoTags", "RepoDigests")},
                "Parent": "",
                "Comment": "",
                "Created": ZERO_TIME,
                "Author": "",
                "Architecture": "",
                "Os": "linux",
                "Config": {"Env": [], "Cmd": None, "Labels": None},
                "RootFS": {"Type": "layers", "Layers": []},
                "Metadata": {"LastTagTime": ZERO_TIME},
            }
    return None


_NEVER = -62_135_596_800
"""Go's zero time."""
_SHORTEST = 4
"""Digits of an id that are taken for one."""
_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null", "podman": "bridge"}


def networks(several: Iterable[Listed]) -> list[dict[str, Any]]:
    """GET /networks: those that containers are in, with the addresses that these have in them."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in several:
        metadata = metadata_of(each.identity)
        for endpoint in metadata.endpoints:
            name = printable(endpoint.network)
            key = printable(endpoint.network_id) or hashed(metadata.runtime, metadata.owner_uid, name)
            network = found.setdefault((name, key), _network(name, key, endpoint.driver))
            if each.running and endpoint.id:
                network["Containers"][id_of(each.identity)] = {
                    "Name": each.identity.name,
                    "EndpointID": printable(endpoint.id),
                    "MacAddress": printable(endpoint.mac),
                    "IPv4Address": f"{endpoint.address}/{endpoint.prefix}" if endpoint.address else "",
                    "IPv6Address": f"{endpoint.address6}/{endpoint.prefix6}" if endpoint.address6 else "",
                }
    return [found[key] for key in sorted(found)]


def _network(name: str, key: str, driver: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Id": key,
        "Created": ZERO_TIME,
        "Scope": "local",
        "Driver": driver or _DRIVERS.get(name, ""),
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


def volumes(several: Iterable[Listed]) -> dict[str, Any]:
    """GET /volumes: those that containers have, by their names."""
    return {"Volumes": _volumes(several), "Warnings": ["cgstatd shows the volumes of containers alone"]}


def _volumes(several: Iterable[Listed]) -> list[dict[str, Any]]:
    """One of each owner's engine may be called as another's."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for each in several:
        metadata = metadata_of(each.identity)
        for known in metadata.configured.volumes:
            name = printable(known.name)
            volume = found.setdefault((name, metadata.runtime, metadata.owner_uid), _volume(name, known.driver))
            volume["UsageData"]["RefCount"] += 1
    return [found[key] for key in sorted(found)]


def _volume(name: str, driver: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Driver": printable(driver),
        "Mountpoint": "",
        "Labels": None,
        "Options": None,
        "Scope": "local",
        "UsageData": {"Size": -1, "RefCount": 0},
    }


def volume(several: Iterable[Listed], wanted: str) -> dict[str, Any] | None:
    """GET /volumes/{name}; None: no container has it."""
    return next((each for each in _volumes(several) if each["Name"] == wanted), None)


def disk_usage(several: Sequence[Listed], now: float) -> dict[str, Any]:
    """GET /system/df: who is there; sizes are not known."""
    return {
        "LayersSize": 0,
        "Images": images(several),
        "Containers": [{**summary(each, now), "SizeRw": 0, "SizeRootFs": 0} for each in several],
        "Volumes": _volumes(several),
        "BuildCache": [],
    }
