"""For every test of attacks."""

from attacks.cases import arenas

__all__ = ["arenas"]
