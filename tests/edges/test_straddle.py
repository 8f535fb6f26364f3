"""The table's quick version: no event is lost, however the client's reads and the agent's writes fall together."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edges.straddle import PLACES, READERS, FrontEnd, Reader, stream_round
from fakehost import FakeHost

CONTAINERS = 400
"""Twice what loses events where writes are only whole."""
_QUICK = (READERS[0], READERS[3], Reader("4 KiB", 0.3, 0, 4096))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = FakeHost(tmp_path_factory.mktemp("host"))
    for number in range(CONTAINERS):
        made.add(f"front-end-{number}", memory=1_234_567_890, rx=12_345_678_901, tx=9_876_543_210)
    return str(made.path)


@pytest.mark.parametrize("name", PLACES)
def test_a_front_end_loses_no_event(name: str, host: str, tmp_path: Path) -> None:
    if name.startswith("veth") and (os.geteuid() != 0 or not shutil.which("ip")):
        pytest.skip("network namespaces need root and the ip program")
    with PLACES[name](tmp_path, host) as place:
        for reader in _QUICK:
            for _ in range(2):
                found = stream_round(place.connect, reader, place.secret)
                assert (found.handled, found.done) == (CONTAINERS, True), (reader, found.sizes)


def test_this_front_end_loses_what_the_real_one_loses() -> None:
    event = b"26\r\nevent: stat\ndata: {}                \n\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + event * 2 + b"0\r\n\r\n"
    for cut in range(1, len(whole)):
        end = FrontEnd()
        end.read(whole[:cut])
        end.read(whole[cut:])
        inside = (cut - len(head)) % len(event)
        torn = len(head) < cut < len(head) + 2 * len(event) and 4 + 12 <= inside < 4 + 12 + 25
        assert end.ended and end.handled == 2 - torn, cut
