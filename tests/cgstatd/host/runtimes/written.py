"""State files as each runtime writes them: the folders in ``states``, Podman's database, and changes of them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from cgstatd.host.runtimes.base import Metadata
from helpers import near

Files = dict[str, str | bytes]
"""Content by path on the host."""


def _folder(top: Path) -> dict[str, bytes]:
    return {f"/{path.relative_to(top)}": path.read_bytes() for path in top.rglob("*") if path.is_file()}


STATE = {each.name: _folder(each) for each in Path(__file__).with_name("states").iterdir()}
"""Runtime -> the files of its one container; read before a test puts a made-up file system in place of the real one."""

# -- Docker

ID = "39c6868eaab7c432616f52e116935862a33dc8459daa8c179a390eb43e36b5d5"


def folder(container_id: str = ID, root: str = "/var/lib/docker") -> str:
    return f"{root}/containers/{container_id}"


DOCKER = f"{folder()}/config.v2.json"
HOSTCONFIG = f"{folder()}/hostconfig.json"


def docker_config(name: str = "/shop-db-1", **state: Any) -> str:
    made = json.loads(STATE["docker"][DOCKER]) | {"Name": name}
    made["State"] |= state
    return json.dumps(made)


# -- Podman

STORAGE = "/var/lib/containers/storage"
DATABASE = f"{STORAGE}/db.sql"
BURN = "cd33c6ef99363e84a3b62d531ea248c288ebd7de7303aa0be53aa5e9b025b17c"
INFRA = "5b75dc179ad68c94d420b8374caa109c019248b741f08bbcb77aee2fc43ec1c7"
POD = "12258646e25691e8b424c49ac431bb9c3253b5a1fb3d4d3287db4b8d48a9b927"
IMAGE = "17f8a0374470a767a6e09e5fb94e6adc56090c8c5e232a21a9e88c7e3613e0af"
SCHEMA = """
    CREATE TABLE ContainerConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, PodID TEXT, JSON TEXT);
    CREATE TABLE ContainerState(ID TEXT PRIMARY KEY NOT NULL, State INTEGER NOT NULL, ExitCode INTEGER, JSON TEXT);
    CREATE TABLE PodConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, JSON TEXT NOT NULL);
"""
Row = tuple[str, str, str | None, Any, Any]
"""(id, name, pod's id, config, state): JSON, or bytes that are none."""


def config(**changes: Any) -> dict[str, Any]:
    return {
        "spec": {
            "ociVersion": "1.2.0",
            "process": {"args": ["sh"], "env": ["SECRET_ENV=s3cr3t"]},
            "linux": {
                "resources": {"memory": {"limit": 67108864, "swap": 134217728}, "pids": {"limit": 2048}},
                "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "mount"}],
            },
        },
        "CreateCommand": ["podman", "run", "-e", "SECRET_ENV=s3cr3t"],
        "rootfsImageID": IMAGE,
        "rootfsImageName": "localhost/lab/busybox:1",
        "createNetNS": True,
        "networkMode": "bridge",
        "labels": {"app": "pm"},
        "createdTime": "2026-11-25T10:57:28.495640325Z",
        "pause": False,
        **changes,
    }


def burn(state: Any = 3, made: Any = None) -> Row:
    """The row of one container; ``state``: libpod's number, or the whole object."""
    return BURN, "pm-burn", None, config() if made is None else made, state


def database(*rows: Row, script: str = "") -> bytes:
    """The database's bytes; JSON is stored as a BLOB, as Podman does."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        connection.execute("INSERT INTO PodConfig VALUES (?, 'pod1', '{}')", (POD,))
        for key, name, pod, made, state in rows:
            now = state if isinstance(state, dict) else {"state": state, "pid": 1}
            blobs = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in (made, now)]
            connection.execute("INSERT INTO ContainerConfig VALUES (?, ?, ?, ?)", (key, name, pod, blobs[0]))
            connection.execute("INSERT INTO ContainerState VALUES (?, 1, 0, ?)", (key, blobs[1]))
        connection.commit()
        connection.executescript(script)
        return connection.serialize()


STATE["podman"] = {DATABASE: database(burn())}


def listed(container_id: str = BURN, name: str = "pm-burn", **metadata: Any) -> dict[str, Any]:
    """An entry of the lists that the storage keeps beside the database."""
    metadata = {"image-name": "localhost/lab/busybox:1", "image-id": IMAGE, "name": name} | metadata
    return {
        "id": container_id,
        "names": [name],
        "image": IMAGE,
        "layer": "e8aa",
        "metadata": json.dumps(metadata),
        "created": "2026-11-25T10:57:28.57152728Z",
        "flags": {"MountLabel": ""},
    }


LISTED = Metadata(
    "podman", BURN, "pm-burn", image="localhost/lab/busybox:1", image_id=IMAGE, created_seconds=near(1795604248.571527)
)

# -- containerd and CRI-O

TASK_ID = "0c0fc8a4fe039fe47949bc2f69ee9aa553bf1e0fd3a9d33bb34656e1fc3302ca"
SANDBOX = INFRA
CRIO = f"{STORAGE}/overlay-containers/{TASK_ID}/userdata/config.json"
LABELS = {
    "io.kubernetes.container.name": "web",
    "io.kubernetes.pod.name": "shop-0",
    "io.kubernetes.pod.namespace": "prod",
    "io.kubernetes.pod.uid": "1f2a",
}


def task(namespace: str = "k8s.io", container_id: str = TASK_ID) -> str:
    """The path of a task's config."""
    return f"/run/containerd/io.containerd.runtime.v2.task/{namespace}/{container_id}/config.json"


def oci(annotations: dict[str, str] | None, network: bool = True) -> str:
    """A task's config with other annotations, perhaps without a network of its own."""
    made = json.loads(STATE["containerd"][task()]) | {"annotations": annotations}
    if not network:
        made["linux"]["namespaces"].pop()
    return json.dumps(made)


def crio(status: str = "running", **annotations: str) -> Files:
    """CRI-O's files; of the annotations' names the last part."""
    made = json.loads(STATE["crio"][CRIO])
    made["annotations"] |= {f"io.kubernetes.cri-o.{key}": value for key, value in annotations.items()}
    state = CRIO.replace("config", "state")
    return {**STATE["crio"], CRIO: json.dumps(made), state: json.dumps({"status": status, "pid": 5})}
