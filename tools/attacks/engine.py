"""The Engine API: every operation that Docker publishes, secrets where engines keep them, streams that are not read."""

from __future__ import annotations

import json
from collections import Counter

from attacks.arena import Arena, TreeArena, often, tally
from attacks.planted import CANARY, container, until_listed
from attacks.sleepers import streams_of_one_token
from cgstatd.outputs.engine import events
from cgstatd.outputs.engine.container_filters import FILTERS
from cgstatd.outputs.engine.filters import MOST_VALUES

# moby's api/swagger.yaml, version 1.56: all 108 operations.
OPERATIONS = {
    "GET": """
/containers/json /containers/{id}/json /containers/{id}/top /containers/{id}/logs /containers/{id}/changes
/containers/{id}/export /containers/{id}/stats /containers/{id}/attach/ws /containers/{id}/archive /images/json
/images/{name}/json /images/{name}/attestations /images/{name}/history /images/search /info /version /_ping /events
/system/df /images/{name}/get /images/get /exec/{id}/json /volumes /volumes/{name} /networks /networks/{id} /plugins
/plugins/privileges /plugins/{name}/json /nodes /nodes/{id} /swarm /swarm/unlockkey /services /services/{id}
/services/{id}/logs /tasks /tasks/{id} /tasks/{id}/logs /secrets /secrets/{id} /configs /configs/{id}
/distribution/{name}/json""",
    "POST": """
/containers/create /containers/{id}/resize /containers/{id}/start /containers/{id}/stop /containers/{id}/restart
/containers/{id}/kill /containers/{id}/update /containers/{id}/rename /containers/{id}/pause /containers/{id}/unpause
/containers/{id}/attach /containers/{id}/wait /containers/prune /build /build/prune /images/create /images/{name}/push
/images/{name}/tag /images/prune /auth /commit /images/load /containers/{id}/exec /exec/{id}/start /exec/{id}/resize
/volumes/create /volumes/prune /networks/create /networks/{id}/connect /networks/{id}/disconnect /networks/prune
/plugins/pull /plugins/{name}/enable /plugins/{name}/disable /plugins/{name}/upgrade /plugins/create
/plugins/{name}/push /plugins/{name}/set /nodes/{id}/update /swarm/init /swarm/join /swarm/leave /swarm/update
/swarm/unlock /services/create /services/{id}/update /secrets/create /secrets/{id}/update /configs/create
/configs/{id}/update /session""",
    "DELETE": """
/containers/{id} /images/{name} /volumes/{name} /networks/{id} /plugins/{name} /nodes/{id} /services/{id}
/secrets/{id} /configs/{id}""",
    "HEAD": "/containers/{id}/archive /_ping",
    "PUT": "/containers/{id}/archive /volumes/{name}",
}
SERVED = frozenset(
    """/containers/json /containers/{id}/json /containers/{id}/top /containers/{id}/stats /images/json
/images/{name}/json /info /version /_ping /events /system/df /volumes /volumes/{name} /networks /networks/{id}
/plugins/{name}/json""".split()
)
METHODS = ("POST", "PUT", "DELETE", "PATCH", "PROPFIND")
ONCE = "?stream=0&since=0&until=1795660000"


def _target(path: str, name: str, prefix: str) -> str:
    return prefix + path.replace("{id}", name).replace("{name}", name) + ONCE


def operations(a: Arena) -> str:
    """every operation of the Engine API: the 108 that Docker publishes, with two versions and without; and five methods
    more on each path, with a good token
    """
    found: Counter[int] = Counter()
    known = [(method, path) for method, paths in OPERATIONS.items() for path in paths.split()]
    assert len(known) == 108
    paths = dict.fromkeys(path for _, path in known)
    every = [*known, *((method, path) for path in paths for method in METHODS[: often(len(METHODS))])]
    for method, path in every:
        for prefix in ("/v1.51", "", "/v1.24")[: often(3)]:
            status, _, body = a.ask(_target(path, a.good, prefix), method=method)
            found[status] += 1
            served = path in SERVED and method in ("GET", "HEAD")
            assert (status in (200, 404)) if served else status == 403, (method, prefix + path, status)
            assert b"Traceback" not in body
    times = f"{len(every)} operations, {often(3)} times"
    return f"{times}: {tally(found)}; 200 and 404 for GET and HEAD of what is served alone"


def filters(a: Arena) -> str:
    """filters of the Engine API: 16 KiB of JSON, nested, of wrong types, expressions that take exponential time"""
    found: Counter[int] = Counter()
    evil = "(a+)+" * 20 + "$"
    for text in ("[" * 4000, '{"a":' * 1000, '{"name":3}', '{"name":[3]}', '{"x":["y"]}', json.dumps({"name": [evil]}),
                 json.dumps({"label": ["a" * 3000]}), json.dumps({"id": [f"{n:x}" for n in range(1500)]})):  # fmt: skip
        for path in ("/containers/json", "/events"):
            target = f"{path}{ONCE}&all=1&filters={text.replace('+', '%2B').replace(' ', '')}"
            status, _, _ = a.ask(target)
            found[status] += 1
            assert status in (200, 400, 431), (text[:40], status)
    return tally(found)


def values_of_filters(a: Arena) -> str:
    """thousands of values of one filter: 7.6 KB of each that the list and the events have, as many as are looked for,
    and from a page of another site
    """
    found: Counter[str] = Counter()
    for path, names in (("/containers/json", FILTERS), ("/events", events.FILTERS)):
        for name in sorted(names):
            for number in (MOST_VALUES, 1800):
                text = json.dumps({name: [f"{each:x}" for each in range(number)]}, separators=(",", ":"))[:7600]
                text = text if text.endswith("]}") else text.rpartition(",")[0] + "]}"
                status, _, body = a.ask(f"{path}{ONCE}&all=1&filters={text}")
                refused = b"values at most" in body
                assert refused if number > MOST_VALUES else status in (200, 400, 501), (name, number, status)
                found[f"{status}{' for their number' * refused}"] += 1
    for page in ("cross-site", "same-site"):
        assert a.ask(f"/containers/json{ONCE}", Sec_Fetch_Site=page, Sec_Fetch_Mode="no-cors")[0] == 403
    return f"{', '.join(f'{count} x {what}' for what, count in sorted(found.items()))}; from a page 403"


def sleeping_streams(a: Arena) -> str:
    """200 streams of the Engine API with one token: stats and events, none of them read"""
    paths = (f"/v1.45/containers/{a.good}/stats", "/v1.45/events")
    return streams_of_one_token(a, "127.0.5", lambda number: paths[number % 2], receive=4096)


HOSTCONFIG = {
    "Binds": [CANARY], "LogConfig": {"Type": "splunk", "Config": {"splunk-token": CANARY}}, "ExtraHosts": [CANARY],
    "RestartPolicy": {"Name": "always", "Other": CANARY}, "SecurityOpt": [CANARY], "Sysctls": {CANARY: CANARY},
}  # fmt: skip


def secrets(a: TreeArena) -> str:
    """secrets where engines keep them: environment, arguments, health checks and their output, mounts, aliases, errors,
    of a running and a stopped container of the system and of the user
    """
    wanted = []
    for users in (False, True):
        for running in (False, True):
            with container(a, f"secret {users} {running}", users=users) as folder:
                folder.mkdir()
                config = {
                    "Name": f"/kept{int(users)}{int(running)}", "Path": "/bin/sh", "Args": ["-c", CANARY],
                    "LogPath": CANARY, "SecretReferences": [{"SecretName": CANARY}],
                    "State": {"Running": running, "Error": CANARY, "ExitCode": 3, "StartedAt": "2026-11-25T10:56:40Z",
                              "Health": {"Status": "healthy", "Log": [{"Output": CANARY}]}},
                    "Config": {"Image": "web", "Env": [f"PASSWORD={CANARY}"], "Cmd": [CANARY], "Entrypoint": [CANARY],
                               "Healthcheck": {"Test": ["CMD", CANARY]}, "Domainname": CANARY},
                    "MountPoints": {CANARY: {"Source": CANARY, "Destination": CANARY, "Name": "data",
                                             "Spec": {"VolumeOptions": {"DriverConfig": CANARY}}}},
                    "NetworkSettings": {"Networks": {"shop": {"Aliases": [CANARY], "Links": [CANARY]}}},
                }  # fmt: skip
                for file, content in (("config.v2.json", config), ("hostconfig.json", HOSTCONFIG)):
                    (folder / file).write_text(json.dumps(content))
                    (folder / file).chmod(0o600)
            wanted.append(folder.name)
    until_listed(a, wanted)
    said, asked = b"", 0
    for path in sorted(SERVED):
        for name in wanted if "{" in path else wanted[:1]:
            status, _, body = a.ask(_target(path, name, "/v1.45") + "&all=1")
            asked += 1
            assert status in (200, 404, 409), (path, status)
            said += body
    for query in ("label", "volume", "name", "nope"):
        said += a.ask(f'/containers/json?all=1&filters={{"{query}":["x"]}}')[2]
    assert b"/bin/sh" in said and b"kept01" in said and b'"splunk"' in said and b'"data"' in said
    assert CANARY.encode() not in said + "".join(a.log).encode()
    return f"{asked + 4} answers of the Engine API, none with a secret; nor the log"
