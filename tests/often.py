"""How often something is tried: at length by `make nightly` alone."""

from __future__ import annotations

import os

NIGHTLY = "NIGHTLY" in os.environ


def often(times: int) -> int:
    """So many times at length; a fifth of it in `make test`."""
    return times if NIGHTLY else times // 5
