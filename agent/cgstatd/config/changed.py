"""What a reload finds: which keys differ, and which of them the running agent can take over."""

from __future__ import annotations

import msgspec

from .settings import Settings

RESTART = frozenset(
    "listen docker_socket docker_socket_mode docker_socket_group env_id history history_interval history_dir "
    "history_keep history_max_bytes host_root docker_root podman_root services tokens tls_cert tls_key tls_client_ca "
    "max_connections".split()
)
"""What is listened on, what is read, which credentials there are, and how many descriptors are kept for connections:
half of that changed would be worse than a restart. What is in the files of tokens and certificates is no key: they are
read again whenever they change."""
LIVE = frozenset(msgspec.structs.asdict(Settings())) - RESTART


def changed(old: Settings, new: Settings) -> list[str]:
    """The keys that differ, in the order of the settings."""
    before, after = msgspec.structs.asdict(old), msgspec.structs.asdict(new)
    return [name for name, value in after.items() if value != before[name]]
