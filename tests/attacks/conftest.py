"""For every test of attacks."""

from attacks.cases import arena_of

__all__ = ["arena_of"]
