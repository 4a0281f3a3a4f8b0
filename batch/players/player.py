"""What a run asks of those who play."""

from collections.abc import Sequence
from typing import Protocol

from batch.graphs import Change
from batch.publish import File


class Player(Protocol):
    """Plays rows, and keeps loaded what they need."""

    def play(self, changes: Sequence[Change]) -> list[File]:
        """The files of a row."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...


class Recipe(Protocol):
    """What a player is made of; it travels to the workers."""

    def player(self, version: str) -> Player:
        """A player, if it has this version of the pack."""
        ...
