"""The outgoing connection: the agent calls a Dockhand server, which then asks through it, for hosts behind NAT."""
