"""What exists on this host. Synchronous: called in the sampling thread alone, and it knows no figure.

The cgroup directories and their changes, which of them are containers and whose, what their runtimes say of them, the
engines that run, block devices, /proc (one parser a file).
"""
