"""GET /: one answer with everything inside, and a policy that admits exactly that."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from cgstatd.web.routes.page import SCRIPTS, page
from helpers import PROJECT
from wire import Server

STATIC = Path(PROJECT, "agent/cgstatd/web/static")


def policy(text: str) -> dict[str, str]:
    """Directive -> its sources."""
    return dict(part.partition(" ")[::2] for part in text.split("; "))


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


async def test_the_page_is_one_answer_whose_policy_admits_its_own_script_and_style_alone(server: Server) -> None:
    answer = await server.ask("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    [script] = re.findall(r"<script>(.*?)</script>", text, re.S)
    [style] = re.findall(r"<style>(.*?)</style>", text, re.S)
    found = policy(answer.headers["content-security-policy"])
    assert found == {
        "default-src": "'none'",
        "script-src": digest(script),
        "style-src": digest(style),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_names_no_other_host_and_has_no_inline_handler_or_style() -> None:
    text = page().body.decode().replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text) == []
    frame = (STATIC / "index.html").read_text("utf-8")
    assert re.findall(r"\s(?:on\w+|style)=", frame) == []


def test_the_script_never_makes_markup_out_of_text() -> None:
    script = "".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|createContextualFragment"
    )
    assert re.findall(forbidden, script) == []


def test_every_file_of_the_page_is_in_it() -> None:
    assert sorted(path.name for path in STATIC.iterdir()) == sorted((*SCRIPTS, "index.html", "page.css"))
    assert len(page().body) < 130_000


async def test_a_browser_that_has_it_is_told_so(server: Server) -> None:
    etag = (await server.ask("/")).headers["etag"]
    again = await server.ask("/", f"If-None-Match: {etag}", "Connection: close")
    assert (again.status, again.body) == (304, b"")
    assert (await server.ask("/", 'If-None-Match: "other"')).status == 200
