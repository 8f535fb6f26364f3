"""Runs schemathesis' command line on an agent's document and gathers what was asked and answered.

The command line, not its pytest plugin: that one reaches into pytest's internals, which newer releases change.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wire import ENVIRONMENT

STREAM = "/api/containers/stats/stream"
CONFIG = """\
continue-on-failure = true
request-timeout = 5.0
# What stays open (`follow`) is left by the client after so many events, each of which is checked; after the timeout,
# measured from the beginning, if fewer come.
max-stream-events = 4

[generation]
max-examples = {examples}
deterministic = {deterministic}
database = "none"

[phases.stateful]
enabled = false  # nothing can be made or changed here that a later request could find

[checks.missing_required_header]
# A preflight without Access-Control-Request-Method is none, but a method that the path does not have.
expected-statuses = [400, 401, 403, 405, 429]

[[operations]]
include-path = "{stream}"
# An unknown environment is an `error` event of a 200 there: what Dockhand's clients expect.
checks.negative_data_rejection.enabled = false

[[operations]]
include-path-regex = "/(host|workloads|[{{]id[}}])/history$"
# A schema cannot say that `since` is not after `until`.
checks.positive_data_acceptance.expected-statuses = [200, 204, 400, 401, 403, 404, 429, 503]
"""


@dataclass(frozen=True)
class Ran:
    """What came of it."""

    failed: str
    """What it prints about failures; empty: there are none."""
    statuses: dict[str, Counter[int]]
    """Operation -> how often each status was answered."""
    checks: dict[str, set[str]]
    """Operation -> the checks that failed."""

    @property
    def cases(self) -> int:
        """How many requests were answered."""
        return sum(sum(found.values()) for found in self.statuses.values())


def with_items(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its ``x-events`` said in the words of OpenAPI 3.2 (``itemSchema``), which schemathesis knows.

    In 3.1 there is no word for the events of a stream.
    """
    for operations in document["paths"].values():
        for media in next(iter(operations.values()))["responses"]["200"]["content"].values():
            if "x-events" in media:
                del media["schema"]  # that the whole is text: here it would be of the events as an array
                media["itemSchema"] = _item(media["x-events"])
    return document


def _item(events: dict[str, Any]) -> dict[str, Any]:
    def data(schema: dict[str, Any]) -> dict[str, Any]:
        said = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
        return {"properties": {"data": said}}

    return {
        "type": "object",
        "required": ["event", "data"],
        "properties": {"event": {"enum": list(events)}, "data": {"type": "string"}, "id": {"type": "string"}},
        "additionalProperties": False,
        "allOf": [
            {"if": {"properties": {"event": {"const": name}}}, "then": data(schema)} for name, schema in events.items()
        ],
    }


def run_schemathesis(
    document: dict[str, Any],
    base: str,
    folder: Path,
    *headers: str,
    examples: int,
    deterministic: bool = True,
    paths: tuple[str, ...] = (),
    phases: str = "examples,coverage,fuzzing",
    each_from_elsewhere: bool = False,
) -> Ran:
    """All checks on all operations, or on those of some paths. ``headers``: sent along with each request."""
    (folder / "document.json").write_text(json.dumps(document))
    settings = CONFIG.format(examples=examples, deterministic=str(deterministic).lower(), stream=STREAM)
    (folder / "schemathesis.toml").write_text(settings)
    more = [part for header in headers for part in ("--header", header)]
    more += [part for path in paths for part in ("--include-path", path)]
    environment = ENVIRONMENT | {"HOME": str(folder)}
    if each_from_elsewhere:
        more += ["--header", "Connection: close"]
        environment["SCHEMATHESIS_HOOKS"] = str(Path(__file__).with_name("schemathesis_hooks.py"))
    ran = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "document.json",
         "--url", base, "--phases", phases, *more, "--report-ndjson-path", "events.ndjson", "--no-color"],
        cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    return Ran(ran.stdout + ran.stderr if ran.returncode else "", *_recorded(folder / "events.ndjson"))


def _recorded(report: Path) -> tuple[dict[str, Counter[int]], dict[str, set[str]]]:
    statuses: dict[str, Counter[int]] = defaultdict(Counter)
    failed: dict[str, set[str]] = defaultdict(set)
    with open(report, encoding="utf-8") as file:
        for line in file:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for interaction in recorder.get("interactions", {}).values():
                if interaction["response"] is not None:
                    statuses[recorder["label"]][interaction["response"]["status_code"]] += 1
            for checks in recorder.get("checks", {}).values():
                for check in checks:
                    if check["status"] == "failure":
                        failed[recorder["label"]].add(check["name"])
    return statuses, failed
