"""The settings: for each key what it may be, what it does, and its default.

One table for the file, the environment, the flags and the documentation: a key cannot exist in one of them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

from ..basics.logs import STYLES
from . import kinds
from .address import DEFAULT_LISTEN
from .kinds import Kind

DEFAULT_CONFIG = "/etc/cgstatd/config.toml"
DEFAULT_LABELS = ("com.docker.compose.project", "com.docker.compose.service", "io.kubernetes.pod.name")
"""Container labels that become metric labels where nothing else is configured."""
MAX_ENV = 999_999_999


# fmt: off
class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that ``cgstatd serve`` can be told: the kind of each value, its help, an example where the default is
    empty, and the default."""

    listen: Annotated[tuple[kinds.Address, ...],
        "where to listen; beyond loopback and unix sockets only with tokens or client certificates"] = (DEFAULT_LISTEN,)
    docker_socket: Annotated[kinds.Path,
        "a unix socket for monitors that want Docker's: the Engine API, read-only, and nothing else, for every process "
        "that its mode and group let connect; no token is asked there", "/run/cgstatd/docker.sock"] = ""
    docker_socket_mode: Annotated[kinds.Mode, "the permissions of that socket"] = "0660"
    docker_socket_group: Annotated[kinds.Group,
        "the group of that socket; the agent has to be root or in it", "monitor"] = ""
    env_id: Annotated[int, kinds.whole(0, MAX_ENV), "the environment this host is"] = 1
    baseline: Annotated[float, kinds.seconds(),
        "how often CPU time is read while there are no clients, so that the first answer is immediate; 0: never"] = 10.0
    freshness: Annotated[float, kinds.seconds(), "requests within this time share one reading"] = 0.5
    max_cpu: Annotated[kinds.Percent,
        "percent of one core that readings of all containers may take: where they cost more they are made less often, "
        "10 s apart at most (a minute at most where no client waits for them: the history's rounds, the baseline), and "
        "answers say so; 0: no bound. Not what else clients ask for costs"] = 1.0
    history: Annotated[float, kinds.seconds(),
        "how much of the past is kept in memory: the counters of each container and of the host, one round each "
        "history_interval; 0: nothing"] = 3600.0
    history_interval: Annotated[float, kinds.seconds(1, 600),
        "how far apart these rounds are; a round that no client has asked for costs a reading of all containers"] = 10.0
    history_dir: Annotated[kinds.Directory,
        "a directory of the agent's own, in which it also keeps these rounds on disk, so that they outlive a restart; "
        "none: on disk there is nothing", "/var/lib/cgstatd"] = ""
    history_keep: Annotated[float, kinds.seconds(3600, 31_622_400),
        "how much is kept there: time in which the agent ran; an eighth more may be there"] = 604_800.0
    history_max_bytes: Annotated[int, kinds.whole(16 << 20, 1 << 40),
        "what the directory takes at most: the oldest rounds go first"] = 512 << 20
    log_level: Annotated[str, kinds.choice("debug", "info", "warning", "error"),
        "what is logged on standard error"] = "info"
    log_format: Annotated[str, kinds.choice(*STYLES), "one line a record: key=value words, or a JSON object"] = "text"
    host_root: Annotated[kinds.Tree,
        "where the host's /proc, /sys and runtime state are found: / on the host itself, /host in a container, or a "
        "tree that `cgstatd record` wrote"] = "/"
    docker_root: Annotated[tuple[kinds.Tree, ...],
        "a Docker data root besides those that /etc/docker/daemon.json or a running dockerd names", "/srv/docker"] = ()
    podman_root: Annotated[tuple[kinds.Tree, ...],
        "a Podman storage root besides /var/lib/containers/storage", "/srv/containers/storage"] = ()
    services: Annotated[kinds.Switch, "treat systemd services as containers too"] = False
    tokens: Annotated[kinds.Path,
        "the tokens that `cgstatd token` wrote; once it exists every request needs one. Otherwise: "
        "$CREDENTIALS_DIRECTORY/tokens, else /etc/cgstatd/tokens.json", "/etc/cgstatd/tokens.json"] = ""
    tls_cert: Annotated[kinds.Path,
        "serve TLS (1.2 or newer) with this certificate chain, PEM; read again when it "
        "changes", "/etc/cgstatd/tls.crt"] = ""
    tls_key: Annotated[kinds.Path,
        "the certificate's private key, PEM, without passphrase", "/etc/cgstatd/tls.key"] = ""
    tls_client_ca: Annotated[kinds.Path,
        "admit only clients with a certificate of these authorities, PEM", "/etc/cgstatd/client-ca.crt"] = ""
    tls_client_names: Annotated[tuple[kinds.CertificateName, ...],
        "admit only client certificates of this name (a DNS, URI, mail or IP name, else the common name); none named: "
        "every certificate of the authorities", "central.example.org"] = ()
    allowed_hosts: Annotated[tuple[kinds.Host, ...],
        "a name that loopback listeners answer to besides localhost, as a reverse proxy sends it (a web page could "
        "make its own name resolve to 127.0.0.1)", "stats.example.org"] = ()
    allowed_origins: Annotated[tuple[kinds.Origin, ...],
        "a web page's origin that may read answers in a browser; none: no other page "
        "may", "https://dash.example.org"] = ()
    max_connections: Annotated[int, kinds.whole(1, 60_000), "connections at a time; more are answered 503"] = 512
    max_connections_per_address: Annotated[int, kinds.whole(1, 60_000),
        "the same from one address (IPv6: one /64)"] = 128
    max_streams: Annotated[int, kinds.whole(1, 60_000), "event streams at a time; more are answered 503"] = 256
    max_streams_per_client: Annotated[int, kinds.whole(1, 60_000),
        "the same for one token or client certificate, else one address"] = 128
    request_timeout: Annotated[float, kinds.seconds(0.1),
        "a TLS handshake or a request that takes longer to arrive is cut"] = 10.0
    idle_timeout: Annotated[float, kinds.seconds(0.1), "a kept connection without requests is closed"] = 75.0
    send_timeout: Annotated[float, kinds.seconds(0.1), "a client that does not read what it asked for is cut"] = 30.0
    metric_labels: Annotated[tuple[kinds.Label, ...],
        "a container label that becomes a label of its metrics (16 at most): each combination of values is a series of "
        "its own", "com.example.team"] = DEFAULT_LABELS
    host_metrics: Annotated[kinds.Switch,
        "whether /metrics has the host's CPU, memory, load, pressure and network too, under node_exporter's names; "
        "false where a node_exporter of this host is scraped as well: queries that name no job would count the host "
        "twice"] = True
    pressure: Annotated[kinds.Switch,
        "whether the agent sleeps on the host's pressure (PSI), and looks for the containers that wait, and why, once "
        "programs of the host do"] = True
    dockhand_url: Annotated[kinds.WebSocket,
        "a Dockhand server that this agent calls, for hosts that it cannot reach itself (NAT): as a Hawser edge agent "
        "that answers the Engine API's GET and HEAD and refuses everything else; without a path it is "
        "/api/hawser/connect", "wss://dockhand.example.org"] = ""
    dockhand_token_file: Annotated[kinds.Path,
        "a file with the token that Dockhand made for this host; read at each "
        "connection", "/etc/cgstatd/dockhand-token"] = ""
    dockhand_ca: Annotated[kinds.Path,
        "the authorities of that server's certificate, PEM; otherwise the "
        "system's", "/etc/cgstatd/dockhand-ca.crt"] = ""
    notify_url: Annotated[kinds.Webhook,
        "a webhook that is told, as JSON, when a container ends with another code than 0, is killed for want of "
        "memory, flaps, or is near its memory limit; a file that has this key must not be writable for other "
        "users", "https://hooks.example.org/cgstatd"] = ""
    notify_secret_file: Annotated[kinds.Path,
        "a file with one line, which is sent to it: a token (Authorization: Bearer) or a header; no other user may "
        "write to it; read at each request", "/etc/cgstatd/notify-secret"] = ""
    notify_ca: Annotated[kinds.Path,
        "the authorities of the webhook's certificate, PEM; otherwise the system's", "/etc/cgstatd/notify-ca.crt"] = ""
# fmt: on


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


def _option(name: str, hint: Any) -> Option:
    base, *constraints = get_args(hint)
    if get_args(base):  # a list, whose elements have the constraint
        return Option(name, Kind(get_args(base)[0], many=True), *constraints)
    return Option(name, Kind(Annotated[base, constraints[0]]), *constraints[1:])


DEFAULTS: dict[str, Any] = msgspec.structs.asdict(Settings())
OPTIONS = tuple(_option(*each) for each in get_type_hints(Settings, include_extras=True).items())
BY_NAME = {option.name: option for option in OPTIONS}
