"""Between the sampling thread and the event loop: who shares which reading, and its bytes.

asyncio, but for the parts that say that they run in the sampling thread. Knows no HTTP.
"""
