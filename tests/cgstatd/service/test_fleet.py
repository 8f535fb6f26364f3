"""A fleet: agents of different environments, one central token whose value never leaves the first host, over TLS."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from certificates import authority, issue
from fakehost import FakeHost
from helpers import believed
from wire import ALL, Agent, agent, run

ENVIRONMENTS = (1, 7, 12)


@believed
def test_one_token_walks_three_agents(tmp_path: Path) -> None:
    ca = authority(tmp_path, "fleet")
    context = ssl.create_default_context(cafile=ca.cert)
    configs = {}
    for env in ENVIRONMENTS:
        folder = tmp_path / str(env)
        (folder / "etc").mkdir(parents=True)
        FakeHost(folder / "host").add(f"web{env}")
        own = issue(folder, "agent", ca, "127.0.0.1")
        configs[env] = folder / "config.toml"
        configs[env].write_text(
            f'env_id = {env}\nlisten = ["0.0.0.0:0"]\n'
            f'host_root = "{folder}/host"\ntokens = "{folder}/etc/tokens.json"\n'
            f'tls_cert = "{own.cert}"\ntls_key = "{own.key}"\n'
        )

    def token(env: int, *arguments: str) -> str:
        ran = run("token", "--config", str(configs[env]), *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    central = token(1, "new", "--name", "central", "--env", "any").strip()
    sha256 = json.loads(token(1, "list", "--json"))["tokens"][0]["sha256"]
    for env in ENVIRONMENTS[1:]:
        assert token(env, "import", "--name", "central", "--env", "any", "--sha256", sha256) == "changed\n"
    local = {env: token(env, "new", "--name", "local").strip() for env in ENVIRONMENTS}

    def ask(running: Agent, secret: str, env: int | None) -> tuple[int, Any]:
        query = "" if env is None else f"?env={env}"
        request = urllib.request.Request(f"https://127.0.0.1:{running.port}{ALL}{query}")
        request.add_header("Authorization", f"Bearer {secret}")
        try:
            with urllib.request.urlopen(request, context=context, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    with ExitStack() as stack:
        agents = {env: stack.enter_context(agent("--config", str(configs[env]))) for env in ENVIRONMENTS}
        for env, running in agents.items():
            for secret in (central, local[env]):
                for asked in (None, env):
                    status, found = ask(running, secret, asked)
                    assert (status, [each["name"] for each in found]) == (200, [f"web{env}"])
            assert ask(running, central, 99) == (404, {"error": "Environment not found"})
            message = f"local is for environment {env}; this is environment 99"
            assert ask(running, local[env], 99) == (403, {"error": "Permission denied", "message": message})
            for other in set(ENVIRONMENTS) - {env}:
                assert ask(running, local[other], None)[0] == 401
