"""The agent against its own OpenAPI document, by schemathesis: no 5xx, and nothing that is not documented.

Each operation gets its documented examples, every boundary that its parameters have, and generated requests: valid
ones and broken ones. ``CGSTATD_SCHEMATHESIS=500`` generates up to that many of the last kind for each operation, from
another seed each time, and prints what was answered. With tokens: test_schemathesis_with_tokens.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attacks.documented import FEW, TIMEOUT, in_parts, run, started
from attacks.schemathesis_run import run_schemathesis
from cgstatd.web.routes.table import ROUTES

DASH = "https://dash.example.org"
HOST, HEALTH, FOLLOW = "/api/host", "/healthz", "/api/containers/stats/follow"
pytestmark = TIMEOUT


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
