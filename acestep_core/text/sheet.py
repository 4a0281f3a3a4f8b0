"""Lists of seeds and values as users write them, and every pair of the two: what a sheet of variations is made of."""

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..errors import InvalidInputError

MOST_PAIRS = 36
MOST_CHARACTERS = 4096
LARGEST_SEED = 2**64 - 1
SEPARATORS = r"[\s,;\uff0c\uff1b\u3001]+"  # also the commas of Chinese and Japanese keyboards
KINDS = {"seeds": f"whole number from 0 to {LARGEST_SEED}", "values": "number"}
EXAMPLES = {"seeds": "3, 5, 7", "values": "0.4, 0.6"}


class Pair(NamedTuple):
    """One run of a sheet."""

    seed: int
    value: float
    label: str  # row | column, as they were written


def pairs_of(seeds: str, values: str) -> list[Pair]:
    """Every seed with every value, a row of values for each seed."""
    rows, columns = sides_of(seeds, values)
    return [
        Pair(int(seed), value, f"{row} | {column}")
        for row, seed in rows.items()
        for column, value in columns.items()
    ]


def sides_of(seeds: str, values: str) -> tuple[dict[str, float], dict[str, float]]:
    """The rows and the columns: numbers by how they were written."""
    rows, columns = written(seeds, "seeds", seed_of), written(values, "values", value_of)
    songs = len(rows) * len(columns)
    if songs > MOST_PAIRS:
        raise InvalidInputError(
            f"{len(rows)} seeds with {len(columns)} values are {songs} songs; a sheet holds {MOST_PAIRS}.",
            "Leave some of them out.",
        )
    return rows, columns


def written(text: str, name: str, number_of: Callable[[str], float | None]) -> dict[str, float]:
    """The numbers of a list by how they were written."""
    example = f"Write numbers with commas between them, such as {EXAMPLES[name]}."
    words = [word for word in re.split(SEPARATORS, text[:MOST_CHARACTERS]) if word]
    if not words or len(text) > MOST_CHARACTERS:
        raise InvalidInputError(f"The {name} are {'too many' if words else 'empty'}.", example)
    found = dict[str, float]()
    for word in words:
        number = number_of(word)
        if number is None:
            raise InvalidInputError(f"{word[:40]!r} among the {name} is no {KINDS[name]}.", example)
        if number in found.values():
            raise InvalidInputError(f"{word[:40]} is there twice among the {name}.", "Leave one of them out.")
        found[word] = number
    return found


def seed_of(word: str) -> int | None:
    """A seed; None for anything else."""
    return int(word) if re.fullmatch(r"\d{1,20}", word, re.ASCII) and int(word) <= LARGEST_SEED else None


def value_of(word: str) -> float | None:
    """A number that is finite; None for anything else."""
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", word, re.ASCII | re.IGNORECASE):
        return None
    value = float(word)
    return value if math.isfinite(value) else None


def columns_of(pairs: Sequence[Pair]) -> tuple[list[int], list[float], list[str]]:
    """Seeds, values and labels, each as a list."""
    return [pair.seed for pair in pairs], [pair.value for pair in pairs], [pair.label for pair in pairs]
