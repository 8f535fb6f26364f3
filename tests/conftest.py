"""For every test."""

from __future__ import annotations

import signal

# A shell that runs the tests in the background has them start with SIGINT ignored, and every program that they start
# would inherit that: Ctrl-C must do here what it does in a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
