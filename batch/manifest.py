"""The record of all songs: one line of JSON for every row, the last of a name being the one that holds.

What is known of each row lies in a database on the disk while a run lasts: a table may be longer than memory.
"""

import contextlib
import errno
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from acestep_core.errors import FileError, InvalidInputError
from acestep_core.files import naming, parse_json

from . import publish

FILE = "manifest.jsonl"
LOCK = ".lock"
DONE, FAILED = "done", "failed"
TABLE = (
    "CREATE TABLE rows (folded TEXT PRIMARY KEY, key TEXT, state TEXT, files TEXT, outdated TEXT, "
    "line INTEGER, row INTEGER, ended INTEGER)"
)


@dataclass(frozen=True, slots=True)
class Record:
    """What became of a row."""

    name: str
    row: int  # counted from 1, without the header
    key: str  # of graph, row and version
    state: str
    seed: int | None
    files: Sequence[str]
    sha256: Sequence[str]
    seconds: float
    worker: str
    error: str  # a sentence; empty if it is done
    version: str
    outdated: Sequence[str] = ()  # left by an earlier form of the row, until this one is done


class Known(NamedTuple):
    """What the manifest says of a name."""

    key: str
    state: str
    files: Sequence[str] = ()
    outdated: Sequence[str] = ()

    @property
    def left(self) -> list[str]:
        """All that the row has in the folder."""
        return [*self.files, *self.outdated]


NOTHING = Known("", "")


class Manifest:
    """The manifest of a folder, held by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / FILE
        self._superseded = 0
        with naming(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = locked(folder / LOCK)
            self._index = sqlite3.connect("")  # a file of its own in the temp folder, gone with the process
            self._index.execute(TABLE)
            self._read()
            publish.recover(folder, self.is_recorded)
            self._file = self._path.open("ab", buffering=0)

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """One line for every row is left."""
        self._file.close()
        with contextlib.suppress(OSError):  # a full disk: the next run does it
            self._compact()
        self._index.close()
        os.close(self._lock)

    def known(self, name: str) -> Known | None:
        """What is known of a row of this name."""
        found = self._index.execute(
            "SELECT key, state, files, outdated FROM rows WHERE folded = ? AND key IS NOT NULL",
            (name.casefold(),),
        ).fetchone()
        return Known(found[0], found[1], json.loads(found[2]), json.loads(found[3])) if found else None

    def is_recorded(self, name: str, key: str) -> bool:
        """Whether this very row is done, by the manifest."""
        return (self.known(name) or NOTHING)[:2] == (key, DONE)

    def is_finished(self, name: str, key: str) -> bool:
        """Whether this very row is done, and its files are still there."""
        known = self.known(name) or NOTHING
        there = (os.path.isfile(self.folder / file) for file in known.files)  # noqa: PTH113  (never raises)
        return known[:2] == (key, DONE) and all(there)

    def has_ended(self, name: str) -> bool:
        """Whether the row got its record in this run."""
        query = "SELECT ended FROM rows WHERE folded = ?"
        return bool((self._index.execute(query, (name.casefold(),)).fetchone() or (0,))[0])

    def claim(self, name: str, row: int) -> int | None:
        """Note that a row of the table has this name; the row that has it already, if one does."""
        folded = name.casefold()  # to Windows and macOS it is one name
        found = self._index.execute("SELECT row FROM rows WHERE folded = ?", (folded,)).fetchone()
        if found and found[0] is not None:
            return found[0]
        self._index.execute(
            "INSERT INTO rows (folded, row) VALUES (?, ?) ON CONFLICT (folded) DO UPDATE SET row = excluded.row",
            (folded, row),
        )
        return None

    def keep(self, record: Record, files: Sequence[publish.File] = ()) -> None:
        """Put the files of a row into the folder, and the record behind the others; it is done when both are on the disk."""
        before = self.known(record.name)
        left = before.left if before else []
        made = publish.publish(self.folder, record.name, record.key, files, left) if files else []
        outdated = [] if record.state == DONE else left
        self._append(replace(record, files=made, outdated=outdated), replaces=before is not None)
        if record.state == DONE:
            publish.settled(self.folder, left, made)

    def _append(self, record: Record, replaces: bool) -> None:
        line = (json.dumps(asdict(record), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        start = os.fstat(self._file.fileno()).st_size
        with naming(self._path):
            try:
                written = self._file.write(line)
                if written != len(line):
                    raise OSError(errno.ENOSPC, "No space left on device")
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(start)  # half a line is no record
                raise
        self._superseded += replaces
        self._note(asdict(record))
        self._index.execute("UPDATE rows SET ended = 1 WHERE folded = ?", (record.name.casefold(),))

    def _note(self, record: Mapping[str, Any], line: int = 0) -> None:
        lists = (json.dumps(list(record["files"])), json.dumps(list(record.get("outdated", ()))))
        self._index.execute(
            "INSERT INTO rows (folded, key, state, files, outdated, line) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (folded) DO UPDATE SET key = excluded.key, state = excluded.state, "
            "files = excluded.files, outdated = excluded.outdated, line = excluded.line",
            (record["name"].casefold(), record["key"], record["state"], *lists, line),
        )

    def _read(self) -> None:
        """Learn what is known. A last line without an end was being written when its process died, and is cut off."""
        if not self._path.exists():
            return
        with self._path.open("r+b") as file:
            for number, start, line in lines_of(file):
                if not line.endswith(b"\n"):
                    file.truncate(start)
                    return
                record = parsed(line, number, self._path)
                self._superseded += self.known(record["name"]) is not None
                self._note(record, number)

    def _compact(self) -> None:
        """Write the manifest anew without what later lines have replaced."""
        if not self._superseded:
            return
        beside = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            with self._path.open("rb") as old, beside.open("xb") as new:
                for number, _, line in lines_of(old):  # whatever is known of a name is known of its last line
                    self._note(parsed(line, number, self._path), number)
                old.seek(0)
                for number, _, line in lines_of(old):
                    if self._line_of(parsed(line, number, self._path)["name"]) == number:
                        new.write(line)
                new.flush()
                os.fsync(new.fileno())
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)
        self._superseded = 0

    def _line_of(self, name: str) -> int:
        query = "SELECT line FROM rows WHERE folded = ?"
        return self._index.execute(query, (name.casefold(),)).fetchone()[0]


def lines_of(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Number, place and content of every line."""
    start = 0
    for number, line in enumerate(file, 1):
        yield number, start, line
        start += len(line)


def parsed(line: bytes, number: int, path: Path) -> dict[str, Any]:
    """A line of the manifest."""
    try:
        record = parse_json(line)
        names = [record["name"], *record["files"], *record.get("outdated", ())]
        texts = (record["key"], record["state"])
        if all(isinstance(text, str) for text in (*names, *texts)) and all(map(publish.is_plain, names)):
            return record
    except (ValueError, TypeError, KeyError):
        pass
    raise InvalidInputError(
        f"{path}, line {number}: this is no record of a song.",
        "Delete the line, and its row is played again.",
    )


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of a folder, for whoever wants to read them."""
    with (folder / FILE).open("rb") as file:
        for number, _, line in lines_of(file):
            yield parsed(line, number, folder / FILE)


def locked(path: Path) -> int:
    """Hold a folder against a second run; the system lets go when the process ends, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            import fcntl
        except ImportError:  # Windows
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise FileError(
            f"Another run is writing to {path.parent}.", "Wait until it ends, or choose another folder."
        ) from error
    return handle
