"""Connections and their bounds: sockets, TLS, the bytes on the way. Knows no route."""
