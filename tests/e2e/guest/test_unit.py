"""The agent runs as its unit says: nobody in particular, with one capability."""

from __future__ import annotations

from agent import Agent

CAP_DAC_READ_SEARCH = 1 << 2


def test_the_agent_is_unprivileged_with_one_capability(agent: Agent) -> None:
    assert all(int(uid) > 0 for uid in agent.status("Uid").split())
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(agent.status(kind), 16) == CAP_DAC_READ_SEARCH, kind
    assert agent.status("NoNewPrivs") == "1"
