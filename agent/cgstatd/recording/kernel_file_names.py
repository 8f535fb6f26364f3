"""Which of the kernel's files are recorded: those that the readers use, and no others."""

from __future__ import annotations

from cgroupfs import field_files

CGROUP_FILES: tuple[str, ...] = (
    *field_files(),  # the CPU time first: the clock is read right before
    *"cgroup.procs cgroup.type cgroup.controllers cgroup.subtree_control".split(),
)
"""Every file of a cgroup that ``cgroupfs`` reads, and nothing else: no device lists, no files that are only written."""
HOST_FILES = (
    *"/proc/stat /proc/meminfo /proc/uptime /proc/loadavg /proc/version /proc/cgroups".split(),
    *"/proc/pressure/cpu /proc/pressure/io /proc/pressure/memory /proc/pressure/irq".split(),
)
PROCESS_FILES = ("cgroup", "stat", "status", "comm")
