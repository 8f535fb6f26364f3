"""Hawser's protocol 1.0: JSON objects, one a text frame, told apart by ``type``. A server's are hostile until decoded.

From the server: ``welcome``, ``error``, ``request``, ``stream_end``, ``ping``, ``pong``; ``exec_…`` is refused.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from .. import __version__
from ..outputs.engine.hawser import agent_id
from ..outputs.engine.system import HostWords

PROTOCOL = "1.0"
MOST_BYTES = 1 << 20
"""Of one frame of the server's. A file or a stack that it sends, to be refused, may be larger: that ends the
connection."""
MOST_ID = 128
_encode = msgspec.json.Encoder().encode
T = TypeVar("T")


class NotTheProtocol(Exception):
    """The server sent something else; one sentence."""


class Kind(msgspec.Struct, frozen=True):
    """What every message has."""

    type: str


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """A request of the Engine API. Its headers and its body are not even decoded."""

    request_id: str
    method: str
    path: str
    streaming: bool = False


class StreamEnd(msgspec.Struct, frozen=True, rename="camel"):
    """The server wants no more of a stream."""

    request_id: str


class Ping(msgspec.Struct, frozen=True):
    """A sign of life, which wants one."""

    timestamp: float | int | None = None


class Refusal(msgspec.Struct, frozen=True, rename="camel"):
    """Why the server does not want the agent. Dockhand says it in ``message``, the protocol in ``error``."""

    error: str = ""
    message: str = ""
    retry_after: float = 0.0


class ExecStart(msgspec.Struct, frozen=True, rename="camel"):
    """A terminal in a container."""

    exec_id: str = ""


def decode(data: bytes, kind: type[T]) -> T:
    """A message of a known kind. Raises NotTheProtocol."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotTheProtocol(f"not a message of the protocol: {error}"[:200]) from error


def hello(host: HostWords, token: str) -> bytes:
    """The first message. No ``exec`` and no ``compose`` among the capabilities: the agent has neither."""
    return _encode(
        {
            "type": "hello",
            "version": __version__,
            "protocol": PROTOCOL,
            "agentId": agent_id(host),
            "agentName": host.name,
            "token": token,
            "tokenHash": hashlib.sha256(token.encode()).hexdigest(),
            "dockerVersion": __version__,
            "hostname": host.name,
            "capabilities": ["metrics", "events"],
        }
    )


def response(request_id: str, status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """A whole answer: as text, or in base64 where it is none."""
    try:
        text, binary = body.decode(), False
    except UnicodeDecodeError:
        text, binary = base64.b64encode(body).decode("ascii"), True
    return _encode(
        {
            "type": "response",
            "requestId": request_id,
            "statusCode": status,
            "headers": headers,
            "body": text,
            "isBinary": binary,
        }
    )


def stream(request_id: str, data: bytes | memoryview) -> bytes:
    """A part of an answer that goes on."""
    return _encode({"type": "stream", "requestId": request_id, "data": data})  # msgspec writes bytes in base64


def stream_end(request_id: str, reason: str) -> bytes:
    """Such an answer is over."""
    return _encode({"type": "stream_end", "requestId": request_id, "reason": reason})


def error(request_id: str, sentence: str, code: str) -> bytes:
    """What is asked for is not there."""
    return _encode({"type": "error", "requestId": request_id, "error": sentence, "message": sentence, "code": code})


def ping(time_ms: int) -> bytes:
    """A sign of life, which wants one."""
    return _encode({"type": "ping", "timestamp": time_ms})


def pong(timestamp: float | int | None, time_ms: int) -> bytes:
    """The answer to the server's."""
    return _encode({"type": "pong", "timestamp": time_ms if timestamp is None else timestamp})


def metrics(figures: Mapping[str, Any], time_ms: int) -> bytes:
    """The host's figures."""
    return _encode({"type": "metrics", "timestamp": time_ms, "metrics": figures})


def container_event(found: Mapping[str, Any]) -> bytes:
    """Something that happened to a container."""
    return _encode({"type": "container_event", "event": found})
