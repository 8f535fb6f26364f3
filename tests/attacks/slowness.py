"""How slow this machine is at this moment: what the agent's work may cost in CPU time goes with it.

CPU time is no constant of the work: two busy threads of one core, cold caches and a hypervisor make it twice as much
and more. Measured in a process of its own, since the parsing would hold up each thread of this one, and with them the
client beside an attack, for seconds on a busy machine.
"""

from __future__ import annotations

import subprocess
import sys

SMALL_LABELS = b'{"Name":"/hoard","Config":{"Labels":{' + b",".join(b'"%06x":""' % n for n in range(340_000)) + b"}}}"
"""4 MiB, which as one object for each label would be 30."""
assert 3 << 20 < len(SMALL_LABELS) < 4 << 20

_PARSED_MS = 162.0
"""The least CPU time in which the standard library was seen to parse SMALL_LABELS on the slowest machine so far."""
_PARSE = """
import json, sys, time
data = sys.stdin.buffer.read()
for _ in range(3):
    began = time.process_time()
    json.loads(data)
    print((time.process_time() - began) * 1000)
"""


def parsed_ms() -> float:
    """The same here and now, the least of three."""
    done = subprocess.run([sys.executable, "-c", _PARSE], input=SMALL_LABELS, stdout=subprocess.PIPE, check=True)
    return min(map(float, done.stdout.split()))


def slowness(*measured_ms: float) -> float:
    """As a multiple of the slowest machine so far, and at least 1: the mean of what was measured."""
    return max(1.0, sum(measured_ms) / len(measured_ms) / _PARSED_MS)
