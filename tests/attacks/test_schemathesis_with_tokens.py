"""The agent that asks for tokens against its own OpenAPI document: test_schemathesis.py has the words."""

from __future__ import annotations

from pathlib import Path

import pytest

from attacks.documented import TIMEOUT, in_parts, run, started
from cgstatd.auth import store
from cgstatd.web.routes.table import ROUTES

pytestmark = [TIMEOUT, pytest.mark.nightly]


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
