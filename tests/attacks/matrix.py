"""The authorisation matrix as data: every route, with every kind of token, for every kind of environment.

What is expected is told here, from the contract alone, and not taken from the code: this module knows no agent.
asked_matrix.py asks one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OWN, OTHER = 1, 2
VIEW, METRICS = "containers:view", "metrics:view"
OPEN, ANY_TOKEN = "everybody", "any token"
NEEDS = {
    "GET /api/containers": VIEW,
    "GET /api/containers/stats": VIEW,
    "GET /api/containers/stats/stream": VIEW,
    "GET /api/containers/stats/follow": VIEW,
    "GET /api/containers/{id}/stats": VIEW,
    "GET /api/containers/{id}/detail": VIEW,
    "GET /api/containers/{id}/processes": VIEW,
    "GET /api/host": VIEW,
    "GET /api/containers/{id}/history": VIEW,
    "GET /api/containers/history": VIEW,
    "GET /api/workloads/history": VIEW,
    "GET /api/host/history": VIEW,
    "GET /api/history": VIEW,
    "GET /api/environments": VIEW,
    "GET /api/environments/{env}": VIEW,
    "GET /metrics": METRICS,
    "GET /api/openapi.json": ANY_TOKEN,
    "GET /": OPEN,
    "GET /healthz": OPEN,
    "POST /api/auth/logout": OPEN,
    "POST /api/auth/login": OPEN,  # the password is the token: a wrong one is 401
    "GET /_ping": VIEW,
    "GET /version": VIEW,
    "GET /info": VIEW,
    "GET /containers/json": VIEW,
    "GET /containers/{id}/json": VIEW,
    "GET /containers/{id}/stats": VIEW,
    "GET /containers/{id}/top": VIEW,
    "GET /events": VIEW,
    "GET /images/json": VIEW,
    "GET /images/{name}/json": VIEW,
    "GET /networks": VIEW,
    "GET /networks/{name}": VIEW,
    "GET /volumes": VIEW,
    "GET /volumes/{name}": VIEW,
    "GET /plugins/{name}/json": VIEW,
    "GET /system/df": VIEW,
    "GET /_hawser/info": VIEW,
    "GET /_hawser/health": OPEN,
}
"""Who may ask what. A route that is not here fails the test."""
BY_COOKIE = ("GET /api/containers", "GET /api/containers/stats/follow", "GET /metrics", "GET /api/openapi.json")
"""Asked with the cookie of each token too: one of each kind."""
ENVIRONMENTS = {"none": "", "own": str(OWN), "other": str(OTHER), "nonsense": "1 or 1"}
"""What is asked for; without ``env`` it is the agent's own."""
PERMISSIONS = {"containers": [VIEW], "metrics": [METRICS], "both": [VIEW, METRICS]}
"""A token without any permission cannot be: the file that has one is refused as a whole."""
HELD: dict[str, list[int] | Literal["any"]] = {
    "right env": [OWN],
    "other env": [OTHER],
    "both envs": [OWN, OTHER],
    "any env": "any",
}


ASKED_WITH = {
    "/api/workloads/history": "?workload=docker:a",
    "/containers/{id}/stats": "?stream=0&one-shot=1",
    "/events": "?since=1&until=2",
}
"""What a route does not answer without, or not to an end."""


@dataclass(frozen=True)
class Shown:
    """What a client shows."""

    kind: str
    allow: tuple[str, ...] = ()
    secret: str = ""
    cookie: str = ""

    @property
    def known(self) -> bool:
        """Whether it is a token of the agent."""
        return self.kind in HELD

    def header(self) -> tuple[str, ...]:
        """As it is sent."""
        if self.cookie:
            return (f"Cookie: {self.cookie}",)
        return (f"Authorization: Bearer {self.secret}",) if self.secret else ()


def expected(route: str, shown: Shown, asked: str) -> int:
    """404 stands for the environment that is not found, which the stream says in an event of a 200."""
    needs = NEEDS[route]
    if route == "POST /api/auth/login":
        return 200 if shown.known else 401
    if needs == OPEN:
        return 200
    if not shown.known:
        return 401
    if needs == ANY_TOKEN:
        return 200
    if needs not in shown.allow:
        return 403
    environment = {"none": OWN, "own": OWN, "other": OTHER, "nonsense": None}[asked]
    held = HELD[shown.kind]
    if held != "any" and environment not in held:
        return 403
    there = "{name}" not in route  # nothing has that name
    return 200 if environment == OWN and there else 404
