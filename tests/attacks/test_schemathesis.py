"""The agent against its own OpenAPI document, by schemathesis: no 5xx, and nothing that is not documented.

A request or two for each operation here; at length (`make nightly`) each gets its documented examples, every boundary
that its parameters have, and generated requests: valid ones and broken ones. ``CGSTATD_SCHEMATHESIS=500`` generates up
to that many of the last kind, from another seed each time, and prints what was answered.
"""

from __future__ import annotations

import copy
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from attacks.schemathesis_run import Ran, run_schemathesis, with_items
from cgstatd.auth import store
from cgstatd.web.routes.table import ROUTES
from helpers import UNIFIED
from recordedhosts import recorded_host
from wire import agent

DASH = "https://dash.example.org"
HOST, HEALTH, FOLLOW = "/api/host", "/healthz", "/api/containers/stats/follow"
MANY = int(os.environ.get("CGSTATD_SCHEMATHESIS", "0"))
FEW = 10
pytestmark = pytest.mark.timeout(3600 if MANY else 300)
_PARTS = 3
_PATHS = tuple(dict.fromkeys(route.path for route in ROUTES))
in_parts = pytest.mark.parametrize("paths", [_PATHS[part::_PARTS] for part in range(_PARTS)], ids=range(_PARTS))
"""The paths of the document, a few at a time: all of them at once take a busy machine minutes."""


@contextmanager
def started(*arguments: str, secret: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """An agent over a recorded host: where it is, and its document. No request makes it die or complain."""
    with agent("--listen", "127.0.0.1:0", "--host-root", recorded_host(UNIFIED), *arguments) as running:
        base = f"http://127.0.0.1:{running.port}"
        request = urllib.request.Request(f"{base}/api/openapi.json", headers={"Authorization": f"Bearer {secret}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            yield base, with_items(json.load(answer))
        running.process.terminate()
        code, log = running.end()
        assert code == 0 and "Traceback" not in log, log


def run(base: str, document: dict[str, Any], folder: Path, *headers: str, examples: int = FEW, **how: Any) -> Ran:
    ran = run_schemathesis(document, base, folder, *headers, examples=MANY or examples, deterministic=not MANY, **how)
    if MANY:
        print(f"\n{ran.cases} requests")
        for label, statuses in sorted(ran.statuses.items()):
            print(f"  {label}: {', '.join(f'{count} x {status}' for status, count in sorted(statuses.items()))}")
    return ran


def test_a_few_requests_for_each_operation(tmp_path: Path) -> None:
    """The rest is for `make nightly`."""
    with started("--allowed-origins", DASH) as (base, document):
        ran = run(base, document, tmp_path, examples=1, phases="fuzzing")
    assert not ran.failed, ran.failed
    assert {f"{route.method} {route.path}" for route in ROUTES} <= set(ran.statuses)


@pytest.mark.nightly
@in_parts
def test_without_tokens(tmp_path: Path, paths: tuple[str, ...]) -> None:
    with started("--allowed-origins", DASH) as (base, document):
        ran = run(base, document, tmp_path, paths=paths)
    assert not ran.failed, ran.failed
    for route in ROUTES:  # what was asked reached what is behind the first checks
        if route.path not in paths:
            continue
        assert ran.statuses[f"{route.method} {route.path}"][200], route.path
        assert {204, 403} <= set(ran.statuses[f"OPTIONS {route.path}"]), route.path
        if "{id}" in route.path:
            assert ran.statuses[f"GET {route.path}"][400], route.path
    assert FOLLOW not in paths or ran.statuses[f"GET {FOLLOW}"][400]


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    with started() as found:
        yield found


def wrong_status(document: dict[str, Any]) -> None:
    del document["paths"]["/api/host"]["get"]["responses"]["404"]


def wrong_type(document: dict[str, Any]) -> None:
    content = document["paths"]["/healthz"]["get"]["responses"]["200"]["content"]
    content["text/plain"] = content.pop("application/json")


def wrong_body(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Health"]["required"].append("since")


def wrong_header(document: dict[str, Any]) -> None:
    headers = document["paths"]["/healthz"]["get"]["responses"]["200"]["headers"]
    headers["Vary"] = document["components"]["headers"]["Vary"] | {"required": True}


def wrong_event(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["FollowHello"]["properties"]["env"] = {"type": "string"}


def higher_bound(document: dict[str, Any]) -> None:
    document["components"]["parameters"]["interval"]["schema"]["maximum"] = 100


def lower_bound(document: dict[str, Any]) -> None:
    document["components"]["parameters"]["interval"]["schema"]["maximum"] = 50


@pytest.mark.nightly
@pytest.mark.parametrize(
    "wrong",
    [
        {
            HOST: (wrong_status, "status_code_conformance"),
            HEALTH: (wrong_type, "content_type_conformance"),
            FOLLOW: (wrong_event, "response_schema_conformance"),
        },
        {
            HEALTH: (wrong_body, "response_schema_conformance"),
            FOLLOW: (higher_bound, "positive_data_acceptance"),
        },
        {
            HEALTH: (wrong_header, "response_headers_conformance"),
            FOLLOW: (lower_bound, "negative_data_rejection"),
        },
    ],
    ids=lambda each: "-".join(change.__name__ for change, _ in each.values()),
)
def test_a_document_that_says_something_else_is_found_out(
    private: tuple[str, dict[str, Any]],
    tmp_path: Path,
    wrong: dict[str, tuple[Callable[[dict[str, Any]], None], str]],
) -> None:
    """Of each path by the check that is meant for it, and by no other."""
    base, right = private
    document = copy.deepcopy(right)
    for change, _ in wrong.values():
        change(document)
    ran = run_schemathesis(document, base, tmp_path, examples=FEW, paths=tuple(wrong))
    assert ran.failed
    assert ran.checks == {f"GET {path}": {check} for path, (_, check) in wrong.items()}


@pytest.mark.nightly
@in_parts
def test_with_tokens_a_good_one_is_let_in_and_no_other(tmp_path: Path, paths: tuple[str, ...]) -> None:
    tokens = f"{tmp_path}/tokens.json"
    secret = store.add(tokens, "central", [1], ["containers:view", "metrics:view"])
    with started("--tokens", tokens, secret=secret) as (base, document):
        document["security"] = [{"token": []}]  # what this agent demands: now ignored_auth has something to check
        bearer = f"Authorization: Bearer {secret}"
        ran = run(base, document, tmp_path, bearer, examples=5, each_from_elsewhere=True, paths=paths)
    assert not ran.failed, ran.failed
    for route in ROUTES:
        if route.path not in paths:
            continue
        password = route.path == "/api/auth/login"  # which no generated request has right
        assert ran.statuses[f"{route.method} {route.path}"][401 if password else 200], route.path


@pytest.mark.nightly
def test_who_shows_no_token_is_told_what_is_documented(tmp_path: Path) -> None:
    tokens = f"{tmp_path}/tokens.json"
    secret = store.add(tokens, "central", [1], ["containers:view"])
    with started("--tokens", tokens, secret=secret) as (base, document):
        ran = run(base, document, tmp_path, examples=3)  # the same refusal for nearly all of them
    assert not ran.failed, ran.failed
    for route in ROUTES:
        if route.path == "/api/auth/login":
            continue
        statuses = set(ran.statuses[f"{route.method} {route.path}"])
        assert (200 in statuses) is route.open, route.path
        assert route.open or statuses <= {400, 401, 429}, route.path
    login = set(ran.statuses["POST /api/auth/login"])
    assert {400, 415} <= login | {400, 415} and login <= {400, 401, 413, 415, 429}
