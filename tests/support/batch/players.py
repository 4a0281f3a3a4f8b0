"""A player whose songs are texts, and whose rows may fail, or kill the process that plays them."""

import hashlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acestep_core.errors import InvalidInputError
from batch.graphs import Change
from batch.publish import File

POISON, DEADLY = "poison", "deadly"
LOG = "plays"  # a line for every row that a worker began: its process, and the caption
PROMPT = {"1": {"class_type": "Words", "inputs": {"caption": "", "seed": 0}}}


@dataclass(frozen=True)
class Recipe:
    """What the player is made of."""

    folder: Path
    seconds: float = 0.0
    fault: str = ""
    size: int = 32_000  # bytes of a song, a multiple of 32

    def player(self, version: str) -> "Player":
        if self.fault:
            raise InvalidInputError(self.fault, "Mend it.")
        return Player(self)


class Player:
    """Plays rows."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def play(self, changes: Sequence[Change]) -> list[File]:
        caption = next(change.value for change in changes if change.name == "caption")
        log = os.open(self._recipe.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, f"{os.getpid()} {caption}\n".encode())
        os.close(log)
        time.sleep(self._recipe.seconds)
        if caption.startswith(DEADLY):
            os.kill(os.getpid(), signal.SIGKILL)
        if caption.startswith(POISON):
            raise InvalidInputError("It is poisoned.", "Throw it away.")
        song = hashlib.sha256(repr(changes).encode()).digest() * (self._recipe.size // 32)
        return [File(".bin", song), *([File(".json", b"{}")] if caption.endswith("7") else [])]

    def close(self) -> None:
        pass


def plays(folder: Path) -> list[tuple[int, str]]:
    """Process and caption of every row that was begun."""
    try:
        lines = (folder / LOG).read_text().splitlines()
    except OSError:
        return []
    return [(int(process), caption) for process, _, caption in (line.partition(" ") for line in lines)]
