"""The drivers of Docker's networks: ``<data root>/network/files/local-kv.db``, a B+tree (bbolt) whose values are JSON::

    {"addrSpace":"LocalDefault", …, "id":"0af5ef03ce46…", …, "labels":{…},"name":"shop","networkType":"bridge", …}

The keys of each object are sorted. A network's id stands before its driver, which never changes; so it does not matter
that pages which are no longer used may hold networks that are gone. Nothing else of the file is looked at.
"""

from __future__ import annotations

import re

FILE = "network/files/local-kv.db"
LIMIT = 16 << 20
"""Bytes: some 4 KiB for each container that runs."""
MOST = 4096
_words = re.compile(rb'"(?:id":"([0-9a-f]{64})|networkType":"([a-z][a-z0-9._/:-]{0,63}))"').finditer


def parse(data: bytes) -> dict[str, str]:
    """By the networks' ids."""
    found: dict[str, str] = {}
    key = ""
    for each in _words(data):
        if each[1]:
            key = each[1].decode()
        elif key and len(found) < MOST:
            found[key], key = each[2].decode(), ""
    return found
