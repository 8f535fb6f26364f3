"""Errors in what the program was told: a sentence for people, and the setting that it is about."""

from __future__ import annotations


class BadConfig(Exception):
    """What is wrong with the configuration, one sentence a line."""


class BadSetting(BadConfig):
    """One setting's value cannot be used here. ``sentence`` begins with the value; the place of the setting stands
    before it."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(f"{key} {sentence}")
        self.key = key
        self.sentence = sentence

    def at(self, place: str) -> BadConfig:
        """The same with the place in which the setting was made."""
        return BadConfig(f"{place} {self.sentence}")
