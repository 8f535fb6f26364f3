"""What is behind the routes that are ours: everything beyond the documented stats endpoints."""

from __future__ import annotations

from aiohttp import web

from ...outputs.host_json import HistoryFacts
from . import engine_streams, follow, metrics, pressure, processes, queries


def add_extensions(app: web.Application, env_id: int, history: HistoryFacts) -> None:
    """Add them to an application that has its context."""
    follow.add_follow(app, env_id)
    queries.add_queries(app, env_id, history)
    processes.add_processes(app)
    metrics.add_metrics(app)
    pressure.add_pressure(app)
    engine_streams.add_engine(app)
