"""Who may ask what: every route x token x environment x permission, expected and seen (``-s`` prints it)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attacks.asked_matrix import matrix, table
from attacks.matrix import BY_COOKIE, ENVIRONMENTS, HELD, NEEDS, PERMISSIONS
from cgstatd.auth import store
from cgstatd.auth.tokens import BadTokens
from cgstatd.outputs.openapi import document
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, ROUTES
from secured import Tokens
from wire import Server


def test_every_documented_route_is_in_the_matrix() -> None:
    paths = document(ROUTES)["paths"].items()
    documented = {f"{method.upper()} {path}" for path, each in paths for method in each if method in ("get", "post")}
    others = {method for _, each in paths for method in each} - {"get", "post", "head", "options"}
    engine = {f"{each.method} {each.path}" for each in (*ENGINE_ROUTES, *HAWSER_ROUTES) if "{version}" not in each.path}
    assert documented | {each.replace("{container}", "{id}") for each in engine} == set(NEEDS) and not others


@pytest.mark.usefixtures("credentials_at_once")
async def test_each_cell_is_as_expected(secured_remembering: Server, tokens: Tokens) -> None:
    cells = await matrix(secured_remembering, tokens)
    print("\n" + table(cells))
    assert [cell for cell in cells if not cell.right] == []
    known = len(HELD) * len(PERMISSIONS)
    assert len(cells) == len(ENVIRONMENTS) * (len(NEEDS) * (2 + known) + len(BY_COOKIE) * known)
    assert {200, 401, 403, 404} == {cell.seen for cell in cells}


def test_a_token_without_a_permission_cannot_be(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.new()
    content = json.loads(Path(tokens.path).read_text())
    content["tokens"][0]["allow"] = []
    Path(tokens.path).write_text(json.dumps(content))
    with pytest.raises(BadTokens, match="nothing: expected some of"):
        store.read(tokens.path)
