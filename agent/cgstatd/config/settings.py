"""The settings: a typed record, and for each field what it may be and what it does.

One table for the file, the environment, the flags and the documentation: a key cannot exist in one of them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ..basics.logs import STYLES
from . import kinds
from .address import DEFAULT_LISTEN
from .kinds import Kind

DEFAULT_CONFIG = "/etc/cgstatd/config.toml"
DEFAULT_LABELS = ("com.docker.compose.project", "com.docker.compose.service", "io.kubernetes.pod.name")
"""Container labels that become metric labels where nothing else is configured."""
MAX_ENV = 999_999_999


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that ``cgstatd serve`` can be told, with the defaults."""

    listen: tuple[str, ...] = (DEFAULT_LISTEN,)
    docker_socket: str = ""
    docker_socket_mode: str = "0660"
    docker_socket_group: str = ""
    env_id: int = 1
    baseline: float = 10.0
    freshness: float = 0.5
    max_cpu: float = 1.0
    history: float = 3600.0
    history_interval: float = 10.0
    history_dir: str = ""
    history_keep: float = 604_800.0
    history_max_bytes: int = 512 << 20
    log_level: str = "info"
    log_format: str = "text"
    host_root: str = "/"
    docker_root: tuple[str, ...] = ()
    podman_root: tuple[str, ...] = ()
    services: bool = False
    tokens: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    tls_client_names: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_connections: int = 512
    max_connections_per_address: int = 128
    max_streams: int = 256
    max_streams_per_client: int = 128
    request_timeout: float = 10.0
    idle_timeout: float = 75.0
    send_timeout: float = 30.0
    metric_labels: tuple[str, ...] = DEFAULT_LABELS
    host_metrics: bool = True
    pressure: bool = True
    dockhand_url: str = ""
    dockhand_token_file: str = ""
    dockhand_ca: str = ""
    notify_url: str = ""
    notify_secret_file: str = ""
    notify_ca: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One key: ``name`` in the file, ``CGSTATD_NAME`` in the environment, ``--name`` on the command line."""

    name: str
    kind: Kind
    help: str
    example: str = ""
    """A value for the documentation, where the default is empty."""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"CGSTATD_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """Its flag."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def default(self) -> Any:
        """Its value where no source sets it."""
        return DEFAULTS[self.name]


DEFAULTS: dict[str, Any] = msgspec.structs.asdict(Settings())

OPTIONS = (
    Option("listen", kinds.addresses(), "where to listen; beyond loopback and unix sockets only with tokens or client "
           "certificates"),
    Option("docker_socket", kinds.path(), "a unix socket for monitors that want Docker's: the Engine API, read-only, "
           "and nothing else, for every process that its mode and group let connect; no token is asked there",
           "/run/cgstatd/docker.sock"),
    Option("docker_socket_mode", kinds.mode(), "the permissions of that socket"),
    Option("docker_socket_group", kinds.group(), "the group of that socket; the agent has to be root or in it",
           "monitor"),
    Option("env_id", kinds.whole(0, MAX_ENV), "the environment this host is"),
    Option("baseline", kinds.seconds(), "how often CPU time is read while there are no clients, so that the first "
           "answer is immediate; 0: never"),
    Option("freshness", kinds.seconds(), "requests within this time share one reading"),
    Option("max_cpu", kinds.percent(), "percent of one core that readings of all containers may take: where they cost "
           "more they are made less often, 10 s apart at most (a minute at most where no client waits for them: the "
           "history's rounds, the baseline), and answers say so; 0: no bound. Not what else clients ask for costs"),
    Option("history", kinds.seconds(), "how much of the past is kept in memory: the counters of each container and of "
           "the host, one round each history_interval; 0: nothing"),
    Option("history_interval", kinds.seconds(1, 600), "how far apart these rounds are; a round that no client has "
           "asked for costs a reading of all containers"),
    Option("history_dir", kinds.directory(), "a directory of the agent's own, in which it also keeps these rounds on "
           "disk, so that they outlive a restart; none: on disk there is nothing", "/var/lib/cgstatd"),
    Option("history_keep", kinds.seconds(3600, 31_622_400), "how much is kept there: time in which the agent ran; an "
           "eighth more may be there"),
    Option("history_max_bytes", kinds.whole(16 << 20, 1 << 40), "what the directory takes at most: the oldest rounds "
           "go first"),
    Option("log_level", kinds.choice("debug", "info", "warning", "error"), "what is logged on standard error"),
    Option("log_format", kinds.choice(*STYLES), "one line a record: key=value words, or a JSON object"),
    Option("host_root", kinds.path("DIR"), "where the host's /proc, /sys and runtime state are found: / on the host "
           "itself, /host in a container, or a tree that `cgstatd record` wrote"),
    Option("docker_root", kinds.path("DIR", many=True), "a Docker data root besides those that /etc/docker/daemon.json "
           "or a running dockerd names", "/srv/docker"),
    Option("podman_root", kinds.path("DIR", many=True), "a Podman storage root besides /var/lib/containers/storage",
           "/srv/containers/storage"),
    Option("services", kinds.switch(), "treat systemd services as containers too"),
    Option("tokens", kinds.path(), "the tokens that `cgstatd token` wrote; once it exists every request needs one. "
           "Otherwise: $CREDENTIALS_DIRECTORY/tokens, else /etc/cgstatd/tokens.json",
           "/etc/cgstatd/tokens.json"),
    Option("tls_cert", kinds.path(), "serve TLS (1.2 or newer) with this certificate chain, PEM; read again when it "
           "changes", "/etc/cgstatd/tls.crt"),
    Option("tls_key", kinds.path(), "the certificate's private key, PEM, without passphrase", "/etc/cgstatd/tls.key"),
    Option("tls_client_ca", kinds.path(), "admit only clients with a certificate of these authorities, PEM",
           "/etc/cgstatd/client-ca.crt"),
    Option("tls_client_names", kinds.names(), "admit only client certificates of this name (a DNS, URI, mail or IP "
           "name, else the common name); none named: every certificate of the authorities", "central.example.org"),
    Option("allowed_hosts", kinds.hosts(), "a name that loopback listeners answer to besides localhost, as a "
           "reverse proxy sends it (a web page could make its own name resolve to 127.0.0.1)", "stats.example.org"),
    Option("allowed_origins", kinds.origins(), "a web page's origin that may read answers in a browser; none: no "
           "other page may", "https://dash.example.org"),
    Option("max_connections", kinds.whole(1, 60_000), "connections at a time; more are answered 503"),
    Option("max_connections_per_address", kinds.whole(1, 60_000), "the same from one address (IPv6: one /64)"),
    Option("max_streams", kinds.whole(1, 60_000), "event streams at a time; more are answered 503"),
    Option("max_streams_per_client", kinds.whole(1, 60_000), "the same for one token or client certificate, else "
           "one address"),
    Option("request_timeout", kinds.seconds(0.1), "a TLS handshake or a request that takes longer to arrive is cut"),
    Option("idle_timeout", kinds.seconds(0.1), "a kept connection without requests is closed"),
    Option("send_timeout", kinds.seconds(0.1), "a client that does not read what it asked for is cut"),
    Option("metric_labels", kinds.labels(), "a container label that becomes a label of its metrics (16 at most): each "
           "combination of values is a series of its own", "com.example.team"),
    Option("host_metrics", kinds.switch(), "whether /metrics has the host's CPU, memory, load, pressure and network "
           "too, under node_exporter's names; false where a node_exporter of this host is scraped as well: queries "
           "that name no job would count the host twice"),
    Option("pressure", kinds.switch(), "whether the agent sleeps on the host's pressure (PSI), and looks for the "
           "containers that wait, and why, once programs of the host do"),
    Option("dockhand_url", kinds.websocket(), "a Dockhand server that this agent calls, for hosts that it cannot reach "
           "itself (NAT): as a Hawser edge agent that answers the Engine API's GET and HEAD and refuses everything "
           "else; without a path it is /api/hawser/connect", "wss://dockhand.example.org"),
    Option("dockhand_token_file", kinds.path(), "a file with the token that Dockhand made for this host; read at each "
           "connection", "/etc/cgstatd/dockhand-token"),
    Option("dockhand_ca", kinds.path(), "the authorities of that server's certificate, PEM; otherwise the system's",
           "/etc/cgstatd/dockhand-ca.crt"),
    Option("notify_url", kinds.webhook(), "a webhook that is told, as JSON, when a container ends with another code "
           "than 0, is killed for want of memory, flaps, or is near its memory limit; a file that has this key must "
           "not be writable for other users", "https://hooks.example.org/cgstatd"),
    Option("notify_secret_file", kinds.path(), "a file with one line, which is sent to it: a token (Authorization: "
           "Bearer) or a header; no other user may write to it; read at each request", "/etc/cgstatd/notify-secret"),
    Option("notify_ca", kinds.path(), "the authorities of the webhook's certificate, PEM; otherwise the system's",
           "/etc/cgstatd/notify-ca.crt"),
)  # fmt: skip
BY_NAME = {option.name: option for option in OPTIONS}
