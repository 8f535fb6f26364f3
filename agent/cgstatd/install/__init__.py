"""``cgstatd install`` and ``cgstatd uninstall``: the service of an agent that pip or pipx put below /opt."""
