"""Which rows of a table are left to be played: every row is looked at, none is kept in memory."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from acestep_core.errors import AceStepError, InvalidInputError

from .columns import NAME, Columns
from .graphs import Change, Graph, Prompt, changed, digest
from .manifest import FAILED, Manifest, Record
from .names import name_of

SHOWN_PROMPTS = 3


@dataclass(frozen=True, slots=True)
class Song:
    """A row that is to be played."""

    name: str
    row: int
    key: str
    seed: int | None
    changes: tuple[Change, ...]

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps([self.name, self.row, self.key, self.seed, self.changes])

    @classmethod
    def parsed(cls, line: str) -> "Song":
        """The inverse of `line`."""
        name, row, key, seed, changes = json.loads(line)
        return cls(name, row, key, seed, tuple(Change(*change) for change in changes))


@dataclass(slots=True)
class Plan:
    """What a look at the whole table found. The rows that are left lie in a file."""

    songs: Path
    left: int = 0
    finished: int = 0
    failed: int = 0  # in an earlier run, and not asked for again
    refused: int = 0  # rows with a cell that no widget takes
    first: list[Prompt] = field(default_factory=list)

    def waiting(self) -> Iterator[Song]:
        """The rows that are left, from the file."""
        with self.songs.open(encoding="utf-8") as file:
            yield from map(Song.parsed, file)

    def sentence(self) -> str:
        """What will be done."""
        parts = [f"{self.left} rows to play"]
        for count, words in (
            (self.finished, "finished before"),
            (self.failed, "failed before (--retry-failed plays them again)"),
            (self.refused, "refused"),
        ):
            parts += [f"{count} {words}"] if count else []
        return ", ".join(parts) + "."


class Planner:
    """Compares a table with a manifest."""

    def __init__(self, graph: Graph, version: str, manifest: Manifest, retry_failed: bool = False) -> None:
        self.graph = graph
        self._version = version
        self._manifest = manifest
        self._retry_failed = retry_failed
        self._columns = Columns(graph)
        self._seed = next((widget for widget in graph.widgets if widget.is_seed), None)

    def plan(self, rows: Iterable[Mapping[str, Any]], songs: Path, keeps: bool = True) -> Plan:
        """Look at every row. keeps: write rows that are refused into the manifest."""
        plan = Plan(songs)
        with songs.open("x", encoding="utf-8") as file:
            for number, row in enumerate(rows, 1):
                self._place(plan, number, row, file, keeps)
        return plan

    def _place(self, plan: Plan, number: int, row: Mapping[str, Any], file: IO[str], keeps: bool) -> None:
        name = name_of(row.get(NAME), number)
        if (other := self._manifest.claim(name, number)) is not None:
            raise InvalidInputError(
                f"Rows {other} and {number} are both called {name!r}.", "Give every row a name of its own."
            )
        for column in row:
            if column != NAME:
                self._columns.widgets(column)  # a wrong column is the table's fault, and stops the run
        try:
            song = self.song(name, number, row)
        except AceStepError as fault:
            self._refuse(plan, name, number, row, fault, keeps)
            return
        known = self._manifest.known(name)
        if self._manifest.is_finished(name, song.key):
            plan.finished += 1
        elif not self._retry_failed and known and (known.key, known.state) == (song.key, FAILED):
            plan.failed += 1
        else:
            plan.left += 1
            file.write(song.line() + "\n")
            if len(plan.first) < SHOWN_PROMPTS:
                plan.first.append(changed(self.graph.prompt, song.changes))

    def song(self, name: str, number: int, row: Mapping[str, Any]) -> Song:
        """A row as it will be played."""
        changes = tuple(self._columns.changes(row.items()))
        key = digest(self._version, changed(self.graph.prompt, changes))
        return Song(name, number, key, self._seed_of(changes), changes)

    def _seed_of(self, changes: Iterable[Change]) -> int | None:
        if self._seed is None:
            return None
        asked = (c.value for c in changes if (c.node, c.name) == (self._seed.node, self._seed.name))
        return next(asked, self._seed.value)

    def _refuse(
        self, plan: Plan, name: str, number: int, row: Mapping[str, Any], fault: AceStepError, keeps: bool
    ) -> None:
        key = digest(self._version, self.graph.prompt, row)
        known = self._manifest.known(name)
        if known and (known.key, known.state) == (key, FAILED):
            plan.failed += 1
            return
        plan.refused += 1
        if keeps:
            words = sentence_of(fault)
            self._manifest.keep(
                Record(name, number, key, FAILED, None, (), (), 0.0, "", words, self._version)
            )


def sentence_of(fault: BaseException) -> str:
    """What went wrong, on one line."""
    if isinstance(fault, AceStepError):
        return f"{fault.problem} {fault.remedy}".strip()
    return " ".join(f"{type(fault).__name__}: {fault}".split())
