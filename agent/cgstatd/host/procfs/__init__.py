"""Readers of /proc, one module per file."""
