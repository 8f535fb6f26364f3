"""Which of the kernel's files are recorded: those that the readers use, and no others."""

from __future__ import annotations

CGROUP_FILES: tuple[str, ...] = (
    # The CPU time first: the clock is read right before.
    *"cpu.stat cpuacct.usage cpuacct.usage_user cpuacct.usage_sys".split(),
    *"cgroup.procs cgroup.type cgroup.controllers cgroup.subtree_control cgroup.events freezer.state".split(),
    *"cpu.max cpu.weight cpu.cfs_quota_us cpu.cfs_period_us cpu.shares".split(),
    *"cpuset.cpus cpuset.cpus.effective cpuset.effective_cpus".split(),
    *"memory.current memory.stat memory.min memory.low memory.high memory.max memory.peak memory.events".split(),
    *"memory.swap.current memory.swap.max memory.usage_in_bytes memory.limit_in_bytes".split(),
    *"memory.soft_limit_in_bytes memory.max_usage_in_bytes memory.failcnt memory.oom_control".split(),
    *"memory.memsw.usage_in_bytes memory.memsw.limit_in_bytes".split(),
    *"io.stat blkio.io_service_bytes_recursive blkio.io_serviced_recursive".split(),
    *"blkio.throttle.io_service_bytes blkio.throttle.io_serviced".split(),
    *"blkio.throttle.io_service_bytes_recursive blkio.throttle.io_serviced_recursive".split(),
    *"blkio.bfq.io_service_bytes_recursive blkio.bfq.io_serviced_recursive".split(),
    *"pids.current pids.max pids.peak cpu.pressure memory.pressure io.pressure".split(),
)
"""Every file of a cgroup that ``cgroupfs`` reads, and nothing else: no device lists, no files that are only written."""
HOST_FILES = (
    *"/proc/stat /proc/meminfo /proc/uptime /proc/loadavg /proc/version /proc/cgroups".split(),
    *"/proc/pressure/cpu /proc/pressure/io /proc/pressure/memory /proc/pressure/irq".split(),
)
PROCESS_FILES = ("cgroup", "stat", "status", "comm")
