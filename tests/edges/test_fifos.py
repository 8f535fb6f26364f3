"""A FIFO in the place of a file that any route reads: it needs no right to be made, and no FUSE.

Opened without O_NONBLOCK it is waited for until it has a writer.
"""

from __future__ import annotations

import os
from pathlib import Path

from edges.hangs import PLACES, ROUTES, make_host, running
from fakehost import container_id
from helpers import believed

NAMES = [name for name in PLACES if name != "config.v2.json"]


@believed
def test_fifos_in_the_places_of_files_hold_up_nobody(tmp_path: Path) -> None:
    """One container for each place; an agent that waits for any of them says which."""
    host = make_host(tmp_path / "host", *NAMES)
    for name in NAMES:
        path = PLACES[name].path(host, name)
        path.unlink()
        os.mkfifo(path)
    with running(host) as program:
        threads = None
        for _ in range(2):
            for of, route in ROUTES.items():
                answer = program.ask(route.target, route.enough)
                assert answer.status == 200, (of, answer)
                found = dict.fromkeys(route.those, True) if route.has is None else route.has(answer.body)
                assert all(found.get(each) for each in route.those), (of, found)
            for name in NAMES:
                status = program.ask(f"/api/containers/{container_id(name)}/detail").status
                assert status == 200, name
            before, threads = threads, program.threads()
        assert threads == before
        assert not any("a reading hangs" in line for line in program.log), program.log
