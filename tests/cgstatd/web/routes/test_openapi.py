"""GET /api/openapi.json says what is served: every route is in it, and real answers are what it says."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from cgstatd.outputs.api_routes import FOLLOW_EVENTS, WORDS
from cgstatd.outputs.openapi import document
from cgstatd.web.routes.checks import valid_container_id
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, REFUSALS, ROUTES
from documented import conforms, resolved, response, schema, validate
from fakehost import FakeHost
from wire import Server


def event_schema(path: str, name: str) -> Any:
    content = document(ROUTES)["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
    return content["x-events"][name] | {"components": document(ROUTES)["components"]}


async def test_every_route_is_in_it_and_nothing_else(server: Server) -> None:
    assert server.runner.app is not None
    routes = {resource.canonical for resource in server.runner.app.router.resources()}
    engines = {
        route.path for route in (*ENGINE_ROUTES, *HAWSER_ROUTES, *REFUSALS)
    }  # Docker publishes a document of these
    assert routes - engines == set(document(ROUTES)["paths"])


async def test_it_is_served(server: Server) -> None:
    assert (await server.ask("/api/openapi.json")).json == document(ROUTES)


def test_every_route_has_words_and_no_others_are_there() -> None:
    assert set(WORDS) == {f"{route.method} {route.path}" for route in ROUTES}


def test_permissions_and_the_environment_are_those_of_the_table() -> None:
    for route in ROUTES:
        operation = document(ROUTES)["paths"][route.path][route.method.lower()]
        names = {resolved(each)["name"] for each in operation.get("parameters", [])}
        assert (f"permission {route.permission}," in operation.get("description", "")) is bool(route.permission)
        assert ("env" in names) is bool(route.permission)
        assert (operation.get("security") == []) is route.open


def test_every_schema_is_a_schema_and_every_example_fits() -> None:
    for path, operations in document(ROUTES)["paths"].items():
        for method, operation in operations.items():
            for status in operation["responses"]:
                for media, body in response(path, status, method).get("content", {}).items():
                    against = schema(path, status, media, method)
                    jsonschema.Draft202012Validator.check_schema(against)
                    if "example" in body:
                        validate(body["example"], against)


def test_what_is_in_braces_is_a_parameter_of_each_operation() -> None:
    for path, operations in document(ROUTES)["paths"].items():
        for operation in operations.values():
            found = [resolved(each) for each in operation.get("parameters", [])]
            assert {each["name"] for each in found if each["in"] == "path"} == set(re.findall(r"{(\w+)}", path))


def test_every_parameter_has_a_schema_and_its_example_fits() -> None:
    for parameter in document(ROUTES)["components"]["parameters"].values():
        jsonschema.Draft202012Validator.check_schema(parameter["schema"])
        if "example" in parameter:
            validate(parameter["example"], parameter["schema"])


@pytest.mark.parametrize(
    ("wanted", "valid"),
    [("web", True), ("docker:web", True), ("a.b", True), ("a.", True), (".a.b.", True), ("a b\n", True),
     ("", False), ("..", False), ("a..b", False), ("a/b", False), ("a\\", False), ("100%", False), ("a\0", False)],
)  # fmt: skip
def test_the_pattern_of_an_id_is_what_is_looked_up(wanted: str, valid: bool) -> None:
    """But for a single dot: clients take it out of a URL (RFC 3986), so that it means another path."""
    assert valid_container_id(wanted) is valid
    against = jsonschema.Draft202012Validator(document(ROUTES)["components"]["parameters"]["id"]["schema"])
    assert against.is_valid(wanted) is valid


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/containers", "/api/containers"),
        ("/api/containers/stats", "/api/containers/stats"),
        ("/api/containers/{id}/stats", "/api/containers/web/stats"),
        ("/api/containers/{id}/detail", "/api/containers/web/detail"),
        ("/api/containers/{id}/detail", "/api/containers/hostnet/detail"),
        ("/api/host", "/api/host"),
        ("/healthz", "/healthz"),
        ("/metrics", "/metrics"),
        ("/", "/"),
        ("/api/environments", "/api/environments?env=1"),
        ("/api/environments/{env}", "/api/environments/1"),
        ("/api/openapi.json", "/api/openapi.json"),
        ("/api/containers/stats/stream", "/api/containers/stats/stream"),
    ],
)
async def test_answers_of_a_recorded_host_are_what_it_says(recorded_server: Server, path: str, target: str) -> None:
    answer = await recorded_server.ask(target)
    assert answer.status == 200
    conforms(answer, path)


async def test_so_is_what_only_some_headers_bring_about(recorded_server: Server) -> None:
    openmetrics = await recorded_server.ask("/metrics", "Accept: application/openmetrics-text")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    conforms(openmetrics, "/metrics")
    etag = (await recorded_server.ask("/")).headers["etag"]
    unchanged = await recorded_server.ask("/", f"If-None-Match: {etag}", "Connection: close")
    assert unchanged.status == 304
    conforms(unchanged, "/")


async def test_events_of_the_stream_are_what_it_says(server: Server) -> None:
    path = "/api/containers/stats/stream"
    for name, data in (await server.ask(path)).events:
        validate(data, event_schema(path, name))


async def test_events_of_following_are_what_it_says(server: Server, host: FakeHost) -> None:
    path = "/api/containers/stats/follow"
    (host.scope("a") / "memory.events").write_text("oom_kill 0\n")
    seen: set[str] = set()
    async with server.connection() as connection:
        connection.send(f"{path}?interval=0.25")
        answer = await connection.head()
        rounds = 0
        while not {"hello", "stat", "round", "start", "exit", "oom"} <= seen:
            for event in (await connection.chunk(answer)).split(b"\n\n"):
                fields = dict(line.split(b": ", 1) for line in event.splitlines() if not line.startswith(b":"))
                if fields:
                    name = fields[b"event"].decode()
                    seen.add(name)
                    rounds += name == "round"
                    validate(json.loads(fields[b"data"]), event_schema(path, name))
            if rounds == 1:
                host.add("new")
                (host.scope("a") / "memory.events").write_text("oom_kill 1\n")
            if "start" in seen and host.scope("new").exists() and rounds > 3:
                host.remove("new", from_disk=True)
    assert seen <= set(FOLLOW_EVENTS)
