"""Rights that are changed, reduced or asked for elsewhere while somebody makes use of them."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from attacks.arena import METRICS, VIEW, Arena, TreeArena, tally
from cgstatd.auth import store
from wire import ALL, ENVIRONMENT, agent

FOLLOW = "/api/containers/stats/follow"
_NAMES = (b"docker-", b"networkRx", b"container_cpu")


def other_metrics(a: Arena) -> str:
    """metrics of another environment: a token of environment 2 with both permissions asks seven routes for ?env=2"""
    secret = store.add(a.tokens, "both-elsewhere", [2], [VIEW, METRICS])
    time.sleep(1.1)
    routes = (
        "/metrics",
        ALL,
        "/api/containers",
        "/api/host",
        "/api/environments",
        f"{ALL}/follow",
        "/api/containers/c1/detail",
        "/api/containers/c1/processes",
    )
    found: Counter[int] = Counter()
    for route in routes:
        for query, expected in (
            ("?env=2", 404),
            ("", 403),
            ("?env=1", 403),
            ("?env=2&env=1", 404),
            ("?env=1&env=2", 403),
        ):
            status, _, body = a.ask(route + query, secret)
            assert status == expected and not any(name in body for name in _NAMES), (route, query, status)
            found[status] += 1
    return tally(found)


def _until_cut(stream: http.client.HTTPResponse) -> None:
    """Read an open stream to its end."""
    try:
        while stream.readline():
            pass
    except (OSError, http.client.HTTPException):
        pass


def anonymous_stream(a: TreeArena) -> str:
    """stream from before the first token: opened without credentials on a loopback agent, then a token is made"""
    tokens = f"{a.folder}/later/tokens.json"
    usual = f"import sys; from cgstatd.auth import store; store.DEFAULT_TOKENS = {tokens!r}"
    command = (sys.executable, "-c", f"{usual}; from cgstatd.cli.main import main; sys.exit(main())")
    with agent("--host-root", str(a.host.path), "--listen", "127.0.0.1:0", command=command) as other:
        connection = http.client.HTTPConnection("127.0.0.1", other.port, timeout=60)
        with closing(connection):
            connection.request("GET", FOLLOW)
            stream = connection.getresponse()
            assert stream.status == 200
            store.add(tokens, "first", [1], [VIEW])
            _until_cut(stream)
    return "cut"


def reduced_stream(a: Arena) -> str:
    """stream of a token that is reduced: its permission is taken away in tokens.json while its `follow` is open"""
    secret = a.new_token("reduced")
    connection = a.client()
    with closing(connection):
        connection.request("GET", FOLLOW, headers={"Authorization": f"Bearer {secret}"})
        stream = connection.getresponse()
        assert stream.status == 200
        content = json.loads(Path(a.tokens).read_text())
        next(each for each in content["tokens"] if each["name"] == "reduced")["allow"] = [METRICS]
        changed = Path(f"{a.tokens}.changed")  # in one go: while the file is half written all clients are refused
        changed.write_text(json.dumps(content))
        changed.chmod(0o600)
        changed.replace(a.tokens)
        _until_cut(stream)
    assert a.ask(ALL, secret)[0] == 403
    return "cut, then 403"


def half_written(a: TreeArena) -> str:
    """tokens.json half written: edited in place, slowly, four times while a client with a good token asks"""
    tokens = Path(a.folder) / "edited" / "tokens.json"
    secret = store.add(str(tokens), "first", [1], [VIEW])
    good, found, stop = tokens.read_bytes(), Counter[int](), threading.Event()

    def edit() -> None:
        for _ in range(4):
            with open(tokens, "r+b", buffering=0) as file:
                file.truncate(0)
                time.sleep(0.6)
                file.write(good[:40])
                time.sleep(0.6)
                file.seek(0)
                file.write(good)
            time.sleep(0.3)
        stop.set()

    with agent("--host-root", str(a.host.path), "--listen", "127.0.0.1:0", "--tokens", str(tokens)) as other:

        def ask(shown: str) -> int:
            with closing(http.client.HTTPConnection("127.0.0.1", other.port, timeout=60)) as connection:
                connection.request("GET", ALL, headers={"Authorization": f"Bearer {shown}"})
                return connection.getresponse().status

        editor = threading.Thread(target=edit)
        editor.start()
        while not stop.is_set():
            found[ask(secret)] += 1
        editor.join()
        assert set(found) == {200, 503}, found
        while ask(secret) != 200:
            pass
        assert ask("cgs_wrong") == 401
    return f"{tally(found)}; after the last edit 200, and none of them counted"


def accept(a: Arena) -> str:
    """Accept headers: a quoted version, versions that do not exist, weights, quotes without an end"""
    types = set()
    for text in ('application/openmetrics-text;version="1.0.0"', "application/openmetrics-text;version=2.<x>",
                 "application/openmetrics-text;q=0", 'application/openmetrics-text;version="', ";,=" * 2000,
                 "application/openmetrics-text;version=1.0.0;escaping=<x>"):  # fmt: skip
        status, headers, _ = a.ask("/metrics", Accept=text)
        assert status == 200
        types.add(headers["content-type"])
    assert types <= {f"{media}; charset=utf-8" for media in ("application/openmetrics-text; version=1.0.0",
                                                            "text/plain; version=0.0.4")}  # fmt: skip
    return "6 x 200, nothing of the header in Content-Type"


def output_is_full(a: Arena) -> str:
    """token rotate > /dev/full: the new value cannot be shown"""
    old = a.new_token("kept")
    before = Path(a.tokens).read_bytes()
    script = 'exec "$@" > /dev/full'
    ran = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "cgstatd", "token", "--tokens", a.tokens, "rotate", "kept"],
        env=ENVIRONMENT, capture_output=True, encoding="utf-8", check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 2 and "nothing was changed" in ran.stderr and "Traceback" not in ran.stderr
    assert Path(a.tokens).read_bytes() == before and a.ask(ALL, old)[0] == 200
    return "exit 2, nothing was changed, the old value 200"
