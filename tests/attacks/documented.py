"""An agent over a recorded host, and schemathesis' requests for what its own OpenAPI document says."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from attacks.schemathesis_run import Ran, run_schemathesis, with_items
from cgstatd.web.routes.table import ROUTES
from helpers import UNIFIED
from recordedhosts import recorded_host
from wire import agent

MANY = int(os.environ.get("CGSTATD_SCHEMATHESIS", "0"))
FEW = 10
TIMEOUT = pytest.mark.timeout(3600 if MANY else 300)
_PARTS = 3
_PATHS = tuple(dict.fromkeys(route.path for route in ROUTES))
in_parts = pytest.mark.parametrize("paths", [_PATHS[part::_PARTS] for part in range(_PARTS)], ids=range(_PARTS))
"""The paths of the document, a few at a time: all of them at once take a busy machine minutes."""


@contextmanager
def started(*arguments: str, secret: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """An agent over a recorded host: where it is, and its document. No request makes it die or complain."""
    with agent("--listen", "127.0.0.1:0", "--host-root", recorded_host(UNIFIED), *arguments) as running:
        base = f"http://127.0.0.1:{running.port}"
        request = urllib.request.Request(f"{base}/api/openapi.json", headers={"Authorization": f"Bearer {secret}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            yield base, with_items(json.load(answer))
        running.process.terminate()
        code, log = running.end()
        assert code == 0 and "Traceback" not in log, log


def run(base: str, document: dict[str, Any], folder: Path, *headers: str, examples: int = FEW, **how: Any) -> Ran:
    ran = run_schemathesis(document, base, folder, *headers, examples=MANY or examples, deterministic=not MANY, **how)
    if MANY:
        print(f"\n{ran.cases} requests")
        for label, statuses in sorted(ran.statuses.items()):
            print(f"  {label}: {', '.join(f'{count} x {status}' for status, count in sorted(statuses.items()))}")
    return ran
