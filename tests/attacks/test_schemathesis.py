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

from attacks.documented import FEW, TIMEOUT, run, started
from attacks.schemathesis_run import run_schemathesis
from cgstatd.web.routes.table import ROUTES

DASH = "https://dash.example.org"
pytestmark = TIMEOUT


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
