#!/usr/bin/env python3
"""Boot real hosts and run the tests inside: ``python3 tests/e2e/run.py [MODE ...] [--short] [--update] [-- PYTEST]``,
or the bench: ``python3 tests/e2e/run.py v2 --bench [-- BENCH]``

Exit status: 0 all passed; 1 some failed; 2 nothing could be run, with the reason.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import results
from image import Image, image, install_tools
from packages import packages
from payload import payload
from vm import MODES, boot
from wheels import CannotBuild, cache_directory, dependencies, say

STOP_BEFORE = 150
"""Seconds before the time limit at which the guest stops its tests itself, boot included, to hand over what it has."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run the end-to-end tests in virtual machines.")
    parser.add_argument("modes", nargs="*", metavar="MODE", help=f"{', '.join(MODES)} (default: all of them)")
    parser.add_argument("--short", action="store_true", help="a handful of containers, as continuous integration does")
    parser.add_argument("--bench", action="store_true", help="tools/bench instead of the tests; what follows -- is its")
    parser.add_argument("--update", action="store_true", help="write RESULTS.md from the newest results of each mode")
    parser.add_argument("--time-limit", type=float, default=2400, metavar="SECONDS", help="for one mode, boot included")
    parser.add_argument("--rebuild", action="store_true", help="build the image again, from the newest packages")
    return parser


def main() -> int:
    """Run; the exit code."""
    ours, pytest = sys.argv[1:], []
    if "--" in ours:
        cut = ours.index("--")
        ours, pytest = ours[:cut], ours[cut + 1 :]
    parser = _parser()
    arguments = parser.parse_args(ours)
    unknown = [mode for mode in arguments.modes if mode not in MODES]
    if unknown:
        parser.error(f"{unknown[0]}: no such mode; there are {', '.join(MODES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running or lying around
    tests = ["-rsfE", "--tb=no", *(["--short"] if arguments.short else []), *pytest]
    options = pytest if arguments.bench else tests
    try:
        failed = [mode for mode in arguments.modes or MODES if not _run(mode, options, arguments)]
    except CannotBuild as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 2
    if arguments.update:
        results.write(cache_directory() / "results")
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _prepared(*, rebuild: bool) -> Image:
    """The image, and beside it what is installed: each waits for the network and the disk while the other computes."""
    install_tools()
    dependencies()
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(packages)
        built = image(rebuild=rebuild)
        making.result()
    return built


def _run(mode: str, options: list[str], arguments: argparse.Namespace) -> bool:
    """One mode; whether it passed."""
    started = time.monotonic()
    built = _prepared(rebuild=arguments.rebuild)
    arguments.rebuild = False
    where = cache_directory() / "results" / (f"bench-{mode}" if arguments.bench else mode)
    with tempfile.TemporaryDirectory(prefix="payload-", dir=cache_directory()) as work:
        tar = Path(work) / "payload.tar"
        seconds = f"{max(1, arguments.time_limit - STOP_BEFORE):.0f}"
        what = "BENCH_ARGS" if arguments.bench else "PYTEST_ARGS"
        payload(tar, {"MODE": mode, what: shlex.join(options), "SECONDS_LEFT": seconds}, bench=arguments.bench)
        outcome = boot(built, mode, tar, where, time_limit=arguments.time_limit)
    if not arguments.short and not arguments.bench:
        results.keep(where, cache_directory() / "results" / f"{mode}.json")
    say(f"{mode}: {time.monotonic() - started:.0f} s in all; logs in {where}")
    if outcome.status and (where / "journal.log").exists():
        say(f"{mode}: journal.log is the guest's, recorded-*.tar.gz the host as failed tests saw it")
    return outcome.status == 0


if __name__ == "__main__":
    sys.exit(main())
