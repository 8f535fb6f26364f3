"""``cgstatd doctor``: one screen, or JSON. Exit codes: 0 all is there; 1 something costs figures; 2 nothing works."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from cgroupfs import NoCgroups, Root

from .. import __version__
from ..basics.text import printable
from ..recording.recorded_root import NotRecorded, open_roots
from ..sampling.open_host import HostOptions
from ..sampling.registry import ListingFailed
from . import cgroups, clocks, engines, figures, rights, setup, totals
from .examination import Examination, examine, text_of
from .findings import COSTS, FAILS, NOTE, Finding, Report, Section, exit_code, some
from .patience import Hung, Patience, hung_files
from .report_text import render


def run(arguments: argparse.Namespace, options: HostOptions) -> int:
    """Look, print; the exit code."""
    report = diagnose(arguments.host_root, options, arguments.compare_docker)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        encoding = sys.stdout.encoding or "utf-8"
        print(render(report).encode(encoding, "backslashreplace").decode(encoding))
    return report.exit_code


def diagnose(host_root: str, options: HostOptions, engine: str | None = None) -> Report:
    """The whole report; ``engine``: a socket to compare with, "" for the usual ones, None for no comparison."""
    roots, patience = open_roots(host_root), Patience()
    try:
        found = examine(roots, options, patience)
    except (NoCgroups, ListingFailed, NotRecorded, Hung) as error:
        todo = (
            "on the host itself, where nothing else mounts them: mount -t cgroup2 cgroup2 /sys/fs/cgroup; in a "
            "container: mount the host's /proc and /sys below /host, and pass --host-root /host"
        )
        return _report(roots[-1], [Section("Control groups", [Finding(FAILS, str(error), "everything", todo)])])
    try:
        sections = [*_sections(found, host_root, patience), *([hung_files(patience)] if patience.hung else [])]
        if engine is not None:
            from .compare_docker import section as compared

            sections.append(compared(found, engine))
    finally:
        found.sampler.close()
    return _report(found.root, sections)


def _sections(found: Examination, host_root: str, patience: Patience) -> Sequence[Section]:
    own = type(found.root) is Root
    work: list[Callable[[], Section]] = [
        partial(cgroups.section, found.root, found.sampler.hierarchy, [each.container for each in found.containers]),
        partial(engines.section, found),
        partial(figures.section, found),
        *([partial(rights.section, found.root)] if own else []),
        partial(clocks.section, found),
        partial(totals.section, found),
        *([setup.section] if own and host_root == "/" else []),
    ]
    return [patience(section) for section in work]


def _report(root: Root, sections: list[Section]) -> Report:
    code = exit_code(sections)
    return Report(__version__, _host(root), code, _verdict(code, sections), sections)


def _verdict(code: int, sections: list[Section]) -> str:
    levels = [finding.level for section in sections for finding in section.findings]
    if code == 2:
        return "Nothing can be read here: see FAILS above."
    if code == 1:
        count = levels.count(COSTS)
        return f"{some(count, 'thing')} cost{'s' * (count == 1)} figures or names: see COSTS above, and what to do."
    notes = levels.count(NOTE)
    more = f" {some(notes, 'note')} above may be worth reading." if notes else ""
    return f"Nothing is missing.{more} Next: cgstatd stats shows the figures, cgstatd serve serves them."


def _host(root: Root) -> str:
    name, version, release = (
        printable(text_of(root, path).strip(), 80)
        for path in ("/proc/sys/kernel/hostname", "/proc/version", "/proc/sys/kernel/osrelease")
    )
    name = name or ("a host" if root.live else "a recorded host")
    kernel = release or (*version.split(), "", "", "")[2]
    return f"{name}, Linux {kernel}" if kernel else name
