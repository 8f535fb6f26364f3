"""argparse with errors that name the command, what was mistyped and what is near it, on two lines."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

_OTHERS = {"--port": "--listen", "-p": "--listen", "--bind": "--listen", "--host": "--listen"}
"""What other programs call it."""


def near(word: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """``; did you mean …?`` where something is near, else ``otherwise``."""
    candidates = list(known)
    found = difflib.get_close_matches(word, candidates, n=1, cutoff=cutoff)
    found = [_OTHERS[word]] if _OTHERS.get(word) in candidates else found
    if not found:  # --env for --env-id, --cert for --tls-cert
        part = word.strip("-")
        found = [each for each in candidates if len(part) > 2 and part in each.strip("-").split("-")][:1]
    return f"; did you mean {found[0]}?" if found else otherwise


class Parser(argparse.ArgumentParser):
    """The parser of the program, and of each of its commands. Each command reports what is mistyped in its own
    arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)  # an option that is added later must not change what --tls means
        super().__init__(*args, **kwargs)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, but nothing stays unknown: each command reports the arguments that it does not know."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown[0]))
        return found or argparse.Namespace(), []

    def _unknown(self, word: str) -> str:
        if not word.startswith("-") or word == "-":
            return f"{word}: one argument too many"
        flag = word.partition("=")[0]
        return f"{flag}: no such option{near(flag, self._option_string_actions, cutoff=0.7)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if not isinstance(action, argparse._SubParsersAction) or value in action.choices:
            super()._check_value(action, value)
            return
        known = ", ".join(action.choices)
        self.error(f"{value}: no such command{near(str(value), action.choices, f'; there are {known}')}")

    def error(self, message: str) -> NoReturn:
        """The usage in one line, and the sentence. Exit code 2."""
        self.exit(2, f"usage: {self._short_usage()}\n{self.prog}: {message}{self._see(message)}\n")

    def _see(self, message: str) -> str:
        return "" if "did you mean" in message else f" (see {self.prog} --help)"

    def _short_usage(self) -> str:
        words = [self.prog, "[OPTION...]" if len(self._option_string_actions) > 2 else ""]
        for action in self._actions:
            if not action.option_strings:
                name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
                words.append(f"[{name}...]" if action.nargs == "*" else name)
        return " ".join(filter(None, words))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Unlike argparse's, this does not suppress errors: output that cannot be written is reported, and is no
        success."""
        if message:
            (file or sys.stderr).write(message)
