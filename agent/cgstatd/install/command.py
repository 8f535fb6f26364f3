"""``cgstatd install``, ``cgstatd uninstall``: 0 done, 2 not, with the reason."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ..config import DEFAULT_CONFIG, BadConfig, Settings, load
from ..config.address import DEFAULT_LISTEN, parse_address
from .plan import CannotInstall, Layout, check, check_not_packaged, installing, uninstalling
from .steps import Step
from .systemctl import SystemctlFailed

_NEXT = """
The page           {url}/
In a terminal      cgstatd top
As JSON            curl {url}/api/containers/stats
What it can read   cgstatd doctor   (systemctl status cgstatd, journalctl -u cgstatd)

To let others ask: make a token (cgstatd token new), set listen and TLS in /etc/cgstatd/config.toml, and
systemctl restart cgstatd"""


def run(arguments: argparse.Namespace) -> int:
    """Install, or with --dry-run say what would be done; the exit code."""
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
        print(_NEXT.format(url=_url(layout)))
    return 0


def _url(layout: Layout) -> str:
    """Where the service answers, as it is configured; a unix socket alone has no page that a browser could open."""
    settings = Settings()
    with suppress(BadConfig):
        settings = load(argparse.Namespace(config=layout.at(DEFAULT_CONFIG)), {})
    addresses = [address for address in map(parse_address, settings.listen) if not address.path]
    address = addresses[0] if addresses else parse_address(DEFAULT_LISTEN)
    if address.host in ("0.0.0.0", "::"):  # noqa: S104 - it is being shown
        address = replace(address, host="127.0.0.1" if address.host == "0.0.0.0" else "::1")  # noqa: S104
    return f"{'https' if settings.tls_cert else 'http'}://{address}"


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
    """Do each step that finds something to do. A step may look at what the one before it did."""
    for step in steps:
        what = step.pending()
        if what:
            print(f"would {what}" if dry_run else what)
            if not dry_run:
                step.do()
