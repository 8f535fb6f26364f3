"""Recorded hosts: ``record_host`` writes one, ``recorded_root`` reads it, ``replayed_root`` plays it on.

``kernel_files`` takes the files of /proc and /sys, ``host_files`` what they are found by; ``state_files`` takes the
runtimes' files, each reduced by ``reduced_state`` to the fields that the structs of its reader name (Podman's database
by ``reduced_database``); ``written_tree`` writes them.
"""
