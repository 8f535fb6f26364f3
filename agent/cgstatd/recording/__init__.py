"""Recorded hosts: ``record_host`` writes one, ``recorded_root`` reads it, ``replayed_root`` plays it on.

``kernel_files`` takes the files of /proc and /sys that ``kernel_file_names`` lists, ``host_files`` what they are found
by; ``state_files`` takes the runtimes' files, each reduced by ``reduced_state`` (Podman's database by
``reduced_database``) to the fields that the readers use;
``written_tree`` writes them.
"""
