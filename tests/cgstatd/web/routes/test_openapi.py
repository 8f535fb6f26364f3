"""GET /api/openapi.json says what is served: every route is in it, and real answers are what it says."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema

from cgstatd.outputs.api_routes import FOLLOW_EVENTS, WORDS
from cgstatd.outputs.openapi import document
from cgstatd.web.routes.checks import valid_container_id
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, REFUSALS, ROUTES
from documented import DOCUMENT, conforms, resolved, response, schema, validate
from fakehost import FakeHost
from wire import STREAM, Server


def event_schema(path: str, name: str) -> Any:
    content = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
    return content["x-events"][name] | {"components": DOCUMENT["components"]}


async def test_every_route_is_in_it_and_nothing_else(server: Server) -> None:
    """Docker publishes a document of its Engine's."""
    routes = {resource.canonical for resource in server.runner.app.router.resources()}
    engines = {route.path for route in (*ENGINE_ROUTES, *HAWSER_ROUTES, *REFUSALS)}
    assert routes - engines == set(DOCUMENT["paths"])
    assert (await server.ask("/api/openapi.json")).json == document(ROUTES)


def test_every_route_has_words_and_no_others_are_there() -> None:
    assert set(WORDS) == {f"{route.method} {route.path}" for route in ROUTES}


def test_permissions_and_the_environment_are_those_of_the_table() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        names = {resolved(each)["name"] for each in operation.get("parameters", [])}
        assert (f"permission {route.permission}," in operation.get("description", "")) is bool(route.permission)
        assert ("env" in names) is bool(route.permission)
        assert (operation.get("security") == []) is route.open


def test_every_schema_is_a_schema_and_every_example_fits() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for status in operation["responses"]:
                for media, body in response(path, status, method).get("content", {}).items():
                    against = schema(path, status, media, method)
                    jsonschema.Draft202012Validator.check_schema(against)
                    if "example" in body:
                        validate(body["example"], against)


def test_every_parameter_has_a_schema_and_its_example_fits_and_what_is_in_braces_is_one() -> None:
    for parameter in DOCUMENT["components"]["parameters"].values():
        jsonschema.Draft202012Validator.check_schema(parameter["schema"])
        if "example" in parameter:
            validate(parameter["example"], parameter["schema"])
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            found = [resolved(each) for each in operation.get("parameters", [])]
            assert {each["name"] for each in found if each["in"] == "path"} == set(re.findall(r"{(\w+)}", path))


def test_the_pattern_of_an_id_is_what_is_looked_up() -> None:
    """But for a single dot: clients take it out of a URL (RFC 3986), so that it means another path."""
    against = jsonschema.Draft202012Validator(DOCUMENT["components"]["parameters"]["id"]["schema"])
    valid = ("web", "docker:web", "a.b", "a.", ".a.b.", "a b\n")
    for wanted in (*valid, "", "..", "a..b", "a/b", "a\\", "100%", "a\0"):
        assert valid_container_id(wanted) is against.is_valid(wanted) is (wanted in valid), wanted


async def test_answers_of_a_recorded_host_are_what_it_says(recorded_server: Server) -> None:
    """Those of a made-up host: test_every_route.py."""
    for path, target in (
        ("/api/containers", "/api/containers"),
        ("/api/containers/stats", "/api/containers/stats"),
        ("/api/containers/{id}/stats", "/api/containers/web/stats"),
        ("/api/containers/{id}/detail", "/api/containers/web/detail"),
        ("/api/containers/{id}/detail", "/api/containers/hostnet/detail"),
        ("/api/host", "/api/host"),
        ("/metrics", "/metrics"),
        (STREAM, STREAM),
    ):
        answer = await recorded_server.ask(target)
        assert answer.status == 200, target
        conforms(answer, path)
    for name, data in answer.events:
        validate(data, event_schema(STREAM, name))
    openmetrics = await recorded_server.ask("/metrics", "Accept: application/openmetrics-text")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    conforms(openmetrics, "/metrics")
    etag = (await recorded_server.ask("/")).headers["etag"]
    unchanged = await recorded_server.ask("/", f"If-None-Match: {etag}", "Connection: close")
    assert unchanged.status == 304
    conforms(unchanged, "/")


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
