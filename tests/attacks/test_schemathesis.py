"""The agent against its own OpenAPI document, by schemathesis: no 5xx, and nothing that is not documented.

Each operation gets its documented examples, every boundary that its parameters have, and generated requests: valid
ones and broken ones. ``CGSTATD_SCHEMATHESIS=500`` generates up to that many of the last kind for each operation, from
another seed each time, and prints what was answered.
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
from helpers import FIXTURES, UNIFIED
from wire import agent

MANY = int(os.environ.get("CGSTATD_SCHEMATHESIS", "0"))
FEW = 10
DASH = "https://dash.example.org"
pytestmark = pytest.mark.timeout(3600 if MANY else 180)


@contextmanager
def started(*arguments: str, secret: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """An agent over a recorded host: where it is, and its document. No request makes it die or complain."""
    with agent("--listen", "127.0.0.1:0", "--host-root", f"{FIXTURES}/{UNIFIED}", *arguments) as running:
        base = f"http://127.0.0.1:{running.port}"
        request = urllib.request.Request(f"{base}/api/openapi.json", headers={"Authorization": f"Bearer {secret}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            yield base, with_items(json.load(answer))
        running.process.terminate()
        code, log = running.end()
        assert code == 0 and "Traceback" not in log, log


def run(base: str, document: dict[str, Any], folder: Path, *headers: str, **how: Any) -> Ran:
    ran = run_schemathesis(document, base, folder, *headers, examples=MANY or FEW, deterministic=not MANY, **how)
    if MANY:
        print(f"\n{ran.cases} requests")
        for label, statuses in sorted(ran.statuses.items()):
            print(f"  {label}: {', '.join(f'{count} x {status}' for status, count in sorted(statuses.items()))}")
    return ran


def test_without_tokens(tmp_path: Path) -> None:
    with started("--allowed-origins", DASH) as (base, document):
        ran = run(base, document, tmp_path)
    assert not ran.failed, ran.failed
    for route in ROUTES:  # what was asked reached what is behind the first checks
        assert ran.statuses[f"{route.method} {route.path}"][200], route.path
        assert {204, 403} <= set(ran.statuses[f"OPTIONS {route.path}"]), route.path
        if "{id}" in route.path:
            assert ran.statuses[f"GET {route.path}"][400], route.path
    assert ran.statuses["GET /api/containers/stats/follow"][400]


def test_with_tokens_a_good_one_is_let_in_and_no_other(tmp_path: Path) -> None:
    tokens = f"{tmp_path}/tokens.json"
    secret = store.add(tokens, "central", [1], ["containers:view", "metrics:view"])
    with started("--tokens", tokens, secret=secret) as (base, document):
        document["security"] = [{"token": []}]  # what this agent demands: now ignored_auth has something to check
        ran = run(base, document, tmp_path, f"Authorization: Bearer {secret}", each_from_elsewhere=True)
    assert not ran.failed, ran.failed
    for route in ROUTES:
        password = route.path == "/api/auth/login"  # which no generated request has right
        assert ran.statuses[f"{route.method} {route.path}"][401 if password else 200], route.path


def test_who_shows_no_token_is_told_what_is_documented(tmp_path: Path) -> None:
    tokens = f"{tmp_path}/tokens.json"
    secret = store.add(tokens, "central", [1], ["containers:view"])
    with started("--tokens", tokens, secret=secret) as (base, document):
        ran = run(base, document, tmp_path)
    assert not ran.failed, ran.failed
    for route in ROUTES:
        if route.path == "/api/auth/login":
            continue
        statuses = set(ran.statuses[f"{route.method} {route.path}"])
        assert (200 in statuses) is route.open, route.path
        assert route.open or statuses <= {400, 401, 429}, route.path
    login = set(ran.statuses["POST /api/auth/login"])
    assert {400, 415} <= login | {400, 415} and login <= {400, 401, 413, 415, 429}


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
    document["components"]["headers"]["Vary"]["required"] = True


def wrong_event(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["FollowHello"]["properties"]["env"] = {"type": "string"}


def higher_bound(document: dict[str, Any]) -> None:
    document["components"]["parameters"]["interval"]["schema"]["maximum"] = 100


def lower_bound(document: dict[str, Any]) -> None:
    document["components"]["parameters"]["interval"]["schema"]["maximum"] = 50


@pytest.mark.parametrize(
    ("wrong", "path", "check"),
    [
        (wrong_status, "/api/host", "status_code_conformance"),
        (wrong_type, "/healthz", "content_type_conformance"),
        (wrong_body, "/healthz", "response_schema_conformance"),
        (wrong_header, "/healthz", "response_headers_conformance"),
        (wrong_event, "/api/containers/stats/follow", "response_schema_conformance"),
        (higher_bound, "/api/containers/stats/follow", "positive_data_acceptance"),
        (lower_bound, "/api/containers/stats/follow", "negative_data_rejection"),
    ],
)
def test_a_document_that_says_something_else_is_found_out(
    private: tuple[str, dict[str, Any]], tmp_path: Path, wrong: Callable[[dict[str, Any]], None], path: str, check: str
) -> None:
    base, right = private
    document = copy.deepcopy(right)
    wrong(document)
    ran = run_schemathesis(document, base, tmp_path, examples=FEW, path=path)
    assert ran.failed and ran.checks == {check}
