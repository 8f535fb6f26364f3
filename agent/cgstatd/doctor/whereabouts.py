"""Whether what is looked at is a host, or what a container is shown of one."""

from __future__ import annotations

from cgroupfs import Root


def in_container(root: Root) -> bool:
    """The second process of a host is the kernel's own; of a container it is not there, or anybody."""
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
