"""A conversation of a client with the agent, kept as text: what it sent, and of each answer the status and the shape.

    # $ docker ps -a
    @docker-socket
    GET /v1.50/containers/json?all=1 HTTP/1.1
    Host: api.moby.localhost
    -> 200 application/json [Command, Created, …]

``@docker-socket`` is the socket that has the Engine API alone, ``@port`` the agent's own port. A body stands behind an
empty line, with its own line ends as ``\\n``. ``->`` has ``...`` at its end where the client hung up first.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import NamedTuple

SOCKET, PORT = "@docker-socket", "@port"
OPEN = " ..."
_EVENT = re.compile(r"^event: (\w+)\n(?:id: .*\n)?data: (.*)$", re.M)


class Exchange(NamedTuple):
    """One request and what was answered."""

    over: str
    head: str
    body: str
    said: str
    """Status and shape."""
    why: str = ""
    """What made the client ask."""

    @property
    def request(self) -> bytes:
        """As it was sent."""
        return "\r\n".join((*self.head.splitlines(), "", self.body)).encode()

    @property
    def method(self) -> str:
        """Of the request."""
        return self.head.partition(" ")[0]

    @property
    def stays_open(self) -> bool:
        """Whether the client hung up."""
        return self.said.endswith(OPEN)

    def text(self) -> str:
        """As it is kept."""
        why = f"# {self.why}\n" if self.why else ""
        body = f"\n{self.body.encode('unicode_escape').decode()}\n" if self.body else ""
        return f"{why}{self.over}\n{self.head}\n{body}-> {self.said}\n"


def written(exchanges: list[Exchange]) -> str:
    """A file."""
    return "\n".join(each.text() for each in exchanges)


def read(text: str) -> list[Exchange]:
    """The same again."""
    found, why = [], ""
    for match in re.finditer(r"^# (.*)$|^(@.*)\n((?:.+\n)+?)(?:\n(.*)\n)?-> (.*)$", text, re.M):
        if match[1] is not None:
            why = match[1]
            continue
        body = (match[4] or "").encode().decode("unicode_escape")
        found.append(Exchange(match[2], match[3].rstrip("\n"), body, match[5], why))
        why = ""
    return found


def said(status: int, headers: dict[str, str], body: bytes, *, whole: bool) -> str:
    """Status, type and top-level keys. ``headers``: in lower case; ``whole``: the answer has ended."""
    found = f"{status} {headers.get('content-type', '').partition(';')[0]}".rstrip()
    if headers.get("content-encoding") in ("gzip", "deflate"):
        body = zlib.decompressobj(wbits=47).decompress(body)
    shape = _shape(body.decode(errors="replace"))
    return f"{found} {shape}".rstrip() + ("" if whole else OPEN)


def _shape(text: str) -> str:
    if text[:1] in ("{", "["):
        try:
            return _keys(json.JSONDecoder().raw_decode(text)[0])
        except ValueError:
            return ""
    events = {f"{name} {_keys(json.loads(data))}".rstrip() for name, data in _EVENT.findall(text)}
    return "; ".join(sorted(events))


def _keys(found: object) -> str:
    if isinstance(found, dict):
        return ", ".join(sorted(found))
    if isinstance(found, list):
        return f"[{_keys(found[0]) if found else ''}]"
    return ""
