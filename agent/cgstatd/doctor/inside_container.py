"""Whether this is a host, or the part of one that a container sees."""

from __future__ import annotations

from cgroupfs import Root


def in_container(root: Root) -> bool:
    """The second process of a host is the kernel's own. In a container there is none, or it is any process."""
    try:
        return root.read("/proc/2/comm").strip() != b"kthreadd"
    except FileNotFoundError:
        try:  # a recorded tree has neither
            root.read("/proc/1/comm")
        except OSError:
            return False
        return True
    except OSError:
        return False
