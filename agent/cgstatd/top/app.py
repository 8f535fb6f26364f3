"""The loop of ``cgstatd top``: events and keys in, the screen out, the terminal left as it was found."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import signal
import sys
from collections.abc import Callable, Sequence

import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..basics.logs import OneLine
from ..outputs.detail_types import ContainerDetail
from ..outputs.processes_json import ContainerProcesses
from ..recording.recorded_root import open_roots
from ..recording.replayed_root import replayed
from ..sampling.open_host import HostOptions, open_host
from . import keys
from .detail_lines import body
from .events import Parser
from .keys_help import help_body
from .model import COLUMNS, Model
from .sources import Local, Remote, Source, Unavailable
from .spark import BLOCKS, PLAIN
from .view import Screen, detail_lines, help_lines, table_lines

SORTS = {"n": "name", "c": "cpu", "m": "memory", "t": "network", "d": "disk", "p": "pids"}
_LINES_SECONDS = 2.0
_HOST_SECONDS = 5.0
_DETAIL_SECONDS = 2.0
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)


class _Said(logging.Handler):
    """Log lines go into the screen's last line instead of across it."""

    def __init__(self, model: Model) -> None:
        super().__init__(logging.WARNING)
        self._model = model
        self.setFormatter(OneLine())

    def emit(self, record: logging.LogRecord) -> None:
        self._model.say(self.format(record).partition(" ")[2])


class App:
    """One run of ``cgstatd top``."""

    def __init__(self, source: Source, steps: int, sort: str, console: Console) -> None:
        self._source = source
        self._steps = steps
        self.model = Model(sort)
        utf = console.encoding.lower().startswith("utf")
        self.screen = Screen(blocks=BLOCKS if utf else PLAIN)
        self._console = console
        self._detail: ContainerDetail | None = None
        self._processes: ContainerProcesses | None = None
        self._remembered = False
        """Whether the lines were filled from the history."""
        self._dirty = asyncio.Event()
        self._look = asyncio.Event()
        """The reader has chosen another container's detail."""
        self._quit = asyncio.Event()

    async def run(self) -> None:
        """Run until the reader leaves."""
        loop = asyncio.get_running_loop()
        descriptor = sys.stdin.fileno()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._quit.set)
        loop.add_signal_handler(signal.SIGWINCH, self._dirty.set)
        logging.basicConfig(level="WARNING", handlers=[_Said(self.model)], force=True)
        with keys.single_keys(descriptor), Live(console=self._console, screen=True, auto_refresh=False) as live:
            loop.add_reader(descriptor, self._pressed, descriptor)
            tasks = [
                asyncio.create_task(each) for each in (self._follow(), self._host(), self._details(), self._draw(live))
            ]
            waiting = asyncio.create_task(self._quit.wait())
            try:
                done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                loop.remove_reader(descriptor)
                for task in (waiting, *tasks):
                    task.cancel()
                await asyncio.gather(waiting, *tasks, return_exceptions=True)
                await self._source.close()

    # -- what goes on meanwhile

    async def _follow(self) -> None:
        parser, failures = Parser(), 0
        while True:
            try:
                async for data in self._source.stream(self._steps, parser.last_id):
                    for event in parser.feed(data):
                        failures = 0
                        if self.model.take(event):
                            self._dirty.set()
                    if self.model.rounds and not self._remembered:
                        self._remembered = True
                        await self._remember()
            except Unavailable as error:
                self.model.lost(str(error))
            except (msgspec.DecodeError, RecursionError) as error:
                self.model.lost(f"what it says is not understood: {error}")
            self._dirty.set()
            parser = _resumed(parser)
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _remember(self) -> None:
        """Fill the lines from the history. An older agent, or one without a history, has none."""
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_LINES_SECONDS):  # the stream waits meanwhile
                found = await self._source.lines(self.model.since_ms())
            if found is not None:
                self.model.remember(found)
                self._dirty.set()

    async def _host(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                self.model.host = await self._source.host()
                self._dirty.set()
            await asyncio.sleep(_HOST_SECONDS)

    async def _details(self) -> None:
        while True:
            wanted = self.screen.detail
            if wanted is not None:
                try:
                    found = await self._source.detail(wanted[2])
                    if self.screen.detail == wanted:
                        self._detail = found
                        self._dirty.set()
                    with contextlib.suppress(Unavailable):  # an older agent has no such route
                        processes = await self._source.processes(wanted[2])
                        if self.screen.detail == wanted:
                            self._processes = processes
                except Unavailable as error:
                    self.model.say(str(error))
                self._dirty.set()
            self._look.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DETAIL_SECONDS):
                    await self._look.wait()

    async def _draw(self, live: Live) -> None:
        while True:
            self._dirty.clear()
            live.update(Text("\n", end="").join(self.lines(*self._console.size)), refresh=True)
            await asyncio.sleep(0.03)  # keys that repeat and events that come together are drawn together
            await self._dirty.wait()

    def lines(self, width: int, height: int) -> list[Text]:
        """Draw the screen."""
        model, screen = self.model, self.screen
        if screen.help:
            return help_lines(model, help_body(), width, height)
        if screen.detail is None:
            return table_lines(model, screen, width, height)
        found: Sequence[Text] = [Text("reading …", "dim", end="")]
        if self._detail is not None:
            entry = model.entries.get(screen.detail)
            found = body(self._detail, entry, width, screen.blocks, self._processes)
        return detail_lines(model, screen, found, width, height)

    # -- keys

    def _pressed(self, descriptor: int) -> None:
        for key in keys.pressed(descriptor):
            self.press(key)
        self._dirty.set()

    def press(self, key: str) -> None:
        """Act on one key."""
        screen = self.screen
        if screen.typing:
            self._type(key)
        elif key in ("q", "Q"):
            self._quit.set()
        elif screen.help or key == "?":
            screen.help = not screen.help
        elif screen.detail is not None:
            self._press_detail(key)
        else:
            self._press_table(key)

    def _type(self, key: str) -> None:
        model, screen = self.model, self.screen
        if key == "escape":
            model.filter, screen.typing = "", False
        elif key in ("enter", "up", "down"):
            screen.typing = False
        elif key == "backspace":
            model.filter = model.filter[:-1]
        elif len(key) == 1:
            model.filter = (model.filter + key)[:60]

    def _press_detail(self, key: str) -> None:
        screen, page = self.screen, max(1, self._console.size.height - 3)
        moved = _moved("pagedown" if key == " " else key, page)
        if moved:
            screen.scroll += moved
        elif key in ("escape", "left", "enter", "backspace", "h"):
            screen.detail = self._detail = self._processes = None

    def _press_table(self, key: str) -> None:
        model, screen = self.model, self.screen
        found = [each for each, _ in model.rows()]
        at = found.index(screen.selected) if screen.selected in found else 0
        moved = _moved(key, max(1, self._console.size.height - 4))
        if moved and found:
            screen.selected = found[max(0, min(len(found) - 1, at + moved))]
        elif key in ("enter", "right", "l") and screen.selected in found:
            screen.detail, screen.scroll = screen.selected, 0
            self._detail = self._processes = None
            self._look.set()
        elif key == "/":
            screen.typing = True
        elif key == "escape":
            model.filter = model.last_event = ""
        elif key == "s":
            names = list(COLUMNS)
            model.sort_by(names[(names.index(model.sort) + 1) % len(names)])
        elif key == "r":
            model.reverse = not model.reverse
        elif key in SORTS:
            model.sort_by(SORTS[key])


def _moved(key: str, page: int) -> int:
    """How many lines a key moves by; 0: it is none of those."""
    far = 1_000_000
    return {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page, "home": -far, "end": far}.get(
        key, 0
    )


def _resumed(parser: Parser) -> Parser:
    """A parser without the half event that a broken stream left."""
    again = Parser()
    again.last_id = parser.last_id
    return again


async def _run(make: Callable[[], Source], arguments: argparse.Namespace) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names are input: the terminal may not know every character
    console = Console(highlight=False, markup=False, emoji=False)
    await App(make(), arguments.interval, arguments.sort, console).run()


def run_remote(url: str, token: str, arguments: argparse.Namespace) -> int:
    """The source of an agent's figures."""
    asyncio.run(_run(lambda: Remote(url, token), arguments))
    return 0


def run_local(arguments: argparse.Namespace) -> int:
    """The source of this host's figures."""
    options = HostOptions(arguments.docker_root, arguments.podman_root, arguments.services)
    with replayed(open_roots(arguments.host_root)) as root:
        sampler = open_host(root, options)
        try:
            asyncio.run(_run(lambda: Local(sampler), arguments))
        finally:
            sampler.close()
    return 0
