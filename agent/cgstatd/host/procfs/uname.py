"""/proc/sys/kernel: what uname(2) answers, as files, so that a host's root may be anywhere.

Sample (Documentation/admin-guide/sysctl/kernel.rst; ``arch`` since 6.1)::

    ostype      Linux
    hostname    web1
    osrelease   6.12.0-1-amd64
    version     #1 SMP PREEMPT_DYNAMIC Debian 6.12.0-1
    domainname  (none)
    arch        x86_64
"""

from __future__ import annotations

import os
from typing import NamedTuple

from cgroupfs import ParseError, Root

DIRECTORY = "/proc/sys/kernel"


class Uname(NamedTuple):
    """The labels of node_uname_info."""

    sysname: str
    nodename: str
    release: str
    version: str
    machine: str
    domainname: str


def parse_text(data: bytes) -> str:
    """``6.12.0\\n``. Raises ParseError where there is no text."""
    text = data.decode("utf-8", "replace").strip()
    if not text:
        raise ParseError("an empty file")
    return text


def _machine(root: Root, release: str) -> str:
    """``arch``; before 6.1 this very process' answer, where it runs on the same kernel. Raises OSError, ParseError."""
    try:
        return parse_text(root.read(f"{DIRECTORY}/arch"))
    except FileNotFoundError:
        own = os.uname()
        if own.release != release:
            raise
        return own.machine


def read_uname(root: Root) -> Uname:
    """Raises OSError, ParseError."""
    ostype, hostname, release, version, domainname = (
        parse_text(root.read(f"{DIRECTORY}/{name}"))
        for name in ("ostype", "hostname", "osrelease", "version", "domainname")
    )
    return Uname(ostype, hostname, release, version, _machine(root, release), domainname)
