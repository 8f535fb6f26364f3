"""What each command does, once its arguments are known to be well-formed."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from cgroupfs import CgroupGone, Root
from cgroupfs.hangs import LeftBehind, awaited_file, leave_behind_if

from ..config import Settings
from ..outputs.table import Line, json_line, ordered, render
from ..recording.recorded_root import open_roots
from ..recording.replayed_root import replayed
from ..sampling.container import Container
from ..sampling.lookup import Ambiguous, Known, NotFound, merge, resolve
from ..sampling.one_container import not_running
from ..sampling.open_host import HostOptions, open_host
from ..sampling.pass_work import CPU_WINDOW_SECONDS
from ..sampling.reading_failed import ReadingFailed
from ..sampling.sampler import Pending, Sampler
from ..service import memory_giveback

log = logging.getLogger(__name__)
_BASELINE_SECONDS = 0.3
_CLEAR = "\x1b[H\x1b[J"


def serve(settings: Settings, load: Callable[[], Settings]) -> int:
    """Run the agent until it is told to stop; ``load`` reads the settings again."""
    options = HostOptions(
        settings.docker_root, settings.podman_root, settings.services, max_connections=settings.max_connections
    )
    memory_giveback.set_up()
    gc.disable()  # until the service has settled: imports leave next to nothing to collect
    with replayed(open_roots(settings.host_root)) as root:
        sampler = open_host(root, options)
        if settings.baseline and type(root) is Root:
            _read_baselines(sampler)
        from ..service.serving import serve as serve_until_stopped
        from ..service.who_may_ask import CannotServe

        try:
            asyncio.run(serve_until_stopped(sampler, settings, load))
        except CannotServe as error:
            print(f"cgstatd: {error}", file=sys.stderr)
            return 2
    return 0


def _read_baselines(sampler: Sampler) -> None:
    """Read CPU times before the web server is imported, so that the first answer has a window to go by.

    In a thread, and for _BASELINE_SECONDS at most: a file that hangs must not keep the agent from starting. For no
    less, either: beside an import, the thread would wait for the interpreter's lock after each read.
    """

    late = threading.Event()

    def read() -> None:
        leave_behind_if(late.is_set)
        try:
            sampler.baselines()
        except LeftBehind:
            pass
        except Exception as error:
            log.debug("first baseline: %s", error)

    reader = threading.Thread(target=read, name="cgstatd-baseline", daemon=True)
    reader.start()
    reader.join(_BASELINE_SECONDS)
    if reader.is_alive() and (file := awaited_file(reader.native_id or 0)):
        late.set()
        log.warning("a reading hangs, and holds a thread: %s", file)


def stats(arguments: argparse.Namespace, options: HostOptions) -> int:
    """Print the table, once or again and again."""
    roots = open_roots(arguments.host_root)
    if arguments.watch:
        with replayed(roots) as root:
            return _watch(open_host(root, options), arguments)
    earlier, sampler = open_host(roots[0], options), open_host(roots[-1], options)
    if len(roots) > 1:
        earlier.baselines()
        sampler.continue_from(earlier)
    elif type(roots[0]) is Root:
        sampler.baselines()
        time.sleep(arguments.interval)
    lines, missing = _collect(sampler, arguments)
    if lines or not arguments.names:
        _print(_shown(lines, arguments))
    if not lines and not arguments.names and arguments.format == "table":
        print("no container is running", file=sys.stderr)
    for sentence in missing:
        print(f"cgstatd: {sentence}", file=sys.stderr)
    return 1 if missing else 0


def _watch(sampler: Sampler, arguments: argparse.Namespace) -> int:
    sampler.baselines()
    while True:
        time.sleep(arguments.interval)
        lines, missing = _collect(sampler, arguments)
        if arguments.format == "json":
            _print(json_lines(lines))
        else:
            shown = _shown(lines, arguments, len(missing))
            _print("\n".join([_CLEAR * sys.stdout.isatty() + shown, *missing]))


def _shown(lines: Sequence[Line], arguments: argparse.Namespace, below: int = 0) -> str:
    """As asked for. A table on a terminal fits its width, and with --watch its height: the header stays in sight."""
    if arguments.format == "json":
        return json_lines(lines)
    if not sys.stdout.isatty():
        return render(lines, whole=arguments.no_trunc)
    size = shutil.get_terminal_size()
    return render(lines, size.columns, size.lines - 1 - below if arguments.watch else None, whole=arguments.no_trunc)


def _print(text: str) -> None:
    """Names are input: what the terminal's encoding cannot say is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    if text:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def json_lines(lines: Sequence[Line]) -> str:
    """One object a line."""
    return "\n".join(map(json_line, lines))


def _collect(sampler: Sampler, arguments: argparse.Namespace) -> tuple[list[Line], list[str]]:
    """The lines asked for, in order, and a sentence for each name that fits no container."""
    names, stopped = arguments.names, arguments.all
    live = sampler.containers()
    on_disk = list(sampler.names.on_disk()) if stopped or names else []
    known, missing = merge(live, on_disk), []
    if names:
        wanted: list[Known] = []
        for name in names:
            try:
                wanted.append(resolve(name, known))
            except NotFound:
                missing.append(f"no container fits {name!r} (cgstatd stats --all lists them)")
            except Ambiguous as error:
                missing.append(f"ambiguous: {error}")
        known = list({(k.runtime, k.owner_uid, k.id): k for k in wanted}.values())
    lines = list(_lines(sampler, [k.target for k in known if isinstance(k.target, Container)]))
    lines += [Line(not_running(sampler, k), 0) for k in known if not isinstance(k.target, Container)]
    return ordered(lines, arguments.sort), missing


def _lines(sampler: Sampler, targets: Sequence[Container]) -> Iterator[Line]:
    namespaces = sampler.namespaces()
    pending: list[Pending] = []
    for container in targets:
        try:
            found = sampler.read(container, namespaces)
        except ReadingFailed as error:
            sampler.names.say_once(container.identity.id, f"left out: {error}")
            continue
        if isinstance(found, Pending):
            pending.append(found)
        elif found is not None:
            yield Line(found, _tasks(container))
    if pending and type(sampler.root) is Root:
        time.sleep(CPU_WINDOW_SECONDS)
    for each in pending:
        try:
            found = sampler.second(each)
        except ReadingFailed:
            continue
        if found is not None:
            yield Line(found, _tasks(each.begun.container))


def _tasks(container: Container) -> int | None:
    try:
        with container.reading() as cgroup:
            return cgroup.pids().current
    except (CgroupGone, ReadingFailed, OSError):
        return None


def record(arguments: argparse.Namespace, options: HostOptions) -> int:
    """Write this host as a tree."""
    from ..recording.record_host import CannotRecord, record_host

    try:
        summary = record_host(Root(arguments.host_root), options, arguments.directory, arguments.interval)
    except CannotRecord as error:
        print(f"cgstatd: {error}", file=sys.stderr)
        return 2
    print(summary)
    return 0
