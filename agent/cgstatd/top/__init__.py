"""``cgstatd top``: the containers of this host, or of an agent, live in a terminal. Needs the extra ``top`` (rich)."""
