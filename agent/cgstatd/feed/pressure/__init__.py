"""Sleeps until the kernel says that the host's programs wait, then finds out which containers do, and why."""
