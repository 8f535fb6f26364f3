"""Loaded by schemathesis: each connection comes from another of the host's loopback addresses.

An address that has been refused fifteen times in a minute is told 429 instead of 401. Both are documented, but only
what is told first says whether each path demands a token.
"""

from __future__ import annotations

import itertools
from typing import Any

from urllib3.util import connection

_connect = connection.create_connection
_addresses = itertools.cycle(f"127.0.{third}.{fourth}" for third in range(1, 9) for fourth in range(1, 255))


def create_connection(address: tuple[str, int], *arguments: Any, **named: Any) -> Any:
    """As urllib3's own."""
    return _connect(address, *arguments, **named | {"source_address": (next(_addresses), 0)})


connection.create_connection = create_connection
