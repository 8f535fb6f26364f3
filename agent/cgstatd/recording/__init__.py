"""What ``cgstatd record`` reads and how it is written: ``recorded`` reads it again.

``kernel`` takes the files of /proc and /sys that ``files`` lists, ``host`` what they are found by; ``state`` takes the
runtimes' files, each reduced by ``reduce`` to the fields that the readers use; ``tree`` writes them.
"""
