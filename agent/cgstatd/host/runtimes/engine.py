"""What Docker and Podman alike store of a container: its names, and how its last life began and ended."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Configured, Endpoint, HealthCheck, Metadata, Port, State
from .labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecord:
    """One version of its file or row. The fields are those of Metadata."""

    name: str
    image: str | None
    image_id: str | None
    labels: Labels
    created_seconds: float | None
    state: State
    started_seconds: float | None
    restarts: int | None
    exit_code: int | None
    oom_killed: bool | None
    finished_seconds: float | None
    pid: int | None
    program: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[Port, ...] = ()
    health: HealthCheck | None = None

    def metadata(
        self,
        runtime: str,
        container_id: str,
        owner_uid: int,
        *,
        kept_in: str,
        network_mode: str | None,
        memory_limit_bytes: int | None,
        configured: Configured,
        pod: str | None = None,
        infra: bool = False,
    ) -> Metadata:
        """With the fields that each of the two stores in its own way."""
        return Metadata(
            runtime=runtime,
            id=container_id,
            name=self.name or container_id[:12],
            image=self.image,
            image_id=self.image_id,
            labels=self.labels.kept,
            labels_left_out=self.labels.left_out,
            created_seconds=self.created_seconds,
            state=self.state,
            network_mode=network_mode,
            memory_limit_bytes=memory_limit_bytes,
            pod=pod,
            infra=infra,
            owner_uid=owner_uid,
            started_seconds=self.started_seconds,
            restarts=self.restarts,
            exit_code=self.exit_code,
            oom_killed=self.oom_killed,
            finished_seconds=self.finished_seconds,
            pid=self.pid,
            kept_in=kept_in,
            program=self.program,
            endpoints=self.endpoints,
            ports=self.ports,
            health=self.health,
            configured=configured,
        )
