"""``cgstatd install``, ``cgstatd uninstall``: 0 done, 2 not, with the reason."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .plan import CannotInstall, Layout, check, check_not_packaged, installing, uninstalling
from .steps import Step
from .systemctl import SystemctlFailed

_NEXT = """\
cgstatd serves on http://127.0.0.1:9713 (systemctl status cgstatd; journalctl -u cgstatd)
next: cgstatd doctor says what it can read; to let others ask, make a token (cgstatd token new), set listen and TLS in
/etc/cgstatd/config.toml, and systemctl restart cgstatd"""


def run(arguments: argparse.Namespace) -> int:
    """Do it, or say it."""
    layout = Layout(os.path.join(os.path.dirname(sys.executable), "cgstatd"), sys.executable)
    try:
        if arguments.command == "install":
            return install(layout, socket=arguments.socket, dry_run=arguments.dry_run)
        return uninstall(layout, purge=arguments.purge, dry_run=arguments.dry_run)
    except (CannotInstall, SystemctlFailed) as error:
        print(f"cgstatd: {error}", file=sys.stderr)
    except OSError as error:
        hint = "; try as root" if isinstance(error, PermissionError) and os.geteuid() else ""
        print(f"cgstatd: {error.filename}: {error.strerror}{hint}", file=sys.stderr)
    return 2


def install(layout: Layout, *, socket: bool, dry_run: bool) -> int:
    """Raises CannotInstall, SystemctlFailed, OSError."""
    check(layout)
    _be_able_to(layout, dry_run)
    carry_out(installing(layout, socket=socket), dry_run)
    if not dry_run:
        print(_NEXT)
    return 0


def uninstall(layout: Layout, *, purge: bool, dry_run: bool) -> int:
    """Raises CannotInstall, SystemctlFailed, OSError."""
    check_not_packaged(layout)
    _be_able_to(layout, dry_run)
    carry_out(uninstalling(layout, purge=purge), dry_run)
    if os.path.isdir(layout.config):
        print(f"kept: {layout.config}" + (": it holds files that are not cgstatd's" * purge))
    print(f"the program itself: rm -r {os.path.dirname(os.path.dirname(layout.program))}")
    return 0


def _be_able_to(layout: Layout, dry_run: bool) -> None:
    if not dry_run and not layout.systemctl.usable:
        raise CannotInstall("systemd does not run this host: start `cgstatd serve` from whatever does")


def carry_out(steps: Sequence[Step], dry_run: bool) -> None:
    """Each step that finds something to do; what one does may be what the next one looks at."""
    for step in steps:
        what = step.pending()
        if what:
            print(f"would {what}" if dry_run else what)
            if not dry_run:
                step.do()
