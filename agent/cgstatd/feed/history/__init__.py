"""The rounds of the last hour: kept in memory, each counter as the kernel had it, and read back in steps or one by one.

Used in the event loop, but for the parts that say that any thread may use them.
"""
