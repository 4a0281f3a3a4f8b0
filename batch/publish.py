"""Songs into a folder: all files of a row appear whole or not at all, and nothing of anybody else is replaced."""

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from acestep_core.errors import FileError
from acestep_core.files import (
    MAX_JSON_BYTES,
    PART,
    Content,
    naming,
    parse_json,
    part_of,
    read_regular,
    write_whole,
)

JOURNAL = ".publishing.json"  # what is being put into the folder, until the manifest knows of it


class TakenError(FileError):
    """A name under which lies something that does not come from this row."""


class File(NamedTuple):
    """One file of a row: what follows the row's name, and the content."""

    suffix: str
    content: Content


def publish(folder: Path, name: str, key: str, files: Sequence[File], own: Collection[str]) -> list[str]:
    """Put the files of a row into the folder and tell their names: one beside the others, several in a folder of their own.

    own: what an earlier run of the row left, which may be replaced. The journal stays until `settled`.
    """
    target = folder / (name + files[0].suffix if len(files) == 1 else name)
    if os.path.lexists(target) and not belongs(target.name, own):
        raise TakenError(
            f"{target.name} is already in {folder} and does not come from this table.",
            "Choose another name for the row, or another folder.",
        )
    made = [target.name] if len(files) == 1 else [f"{name}/{name}{file.suffix}" for file in files]
    with naming(target), part(folder, name, files) as written:
        note = {"name": name, "key": key, "target": target.name, "old": sorted(own)}
        write_whole(folder / JOURNAL, json.dumps(note).encode())
        if target.is_dir() and not target.is_symlink():
            aside = folder / f".{secrets.token_hex(8)}.part"
            target.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        written.replace(target)
        synced(folder)
    return made


def belongs(target: str, own: Collection[str]) -> bool:
    """Whether a file, or the folder of some, is among those of the row."""
    return any(one.partition("/")[0] == target for one in own)


@contextlib.contextmanager
def part(folder: Path, name: str, files: Sequence[File]) -> Iterator[Path]:
    """The files of a row on the disk, as a file or a folder with a passing name, which ends with the block."""
    if len(files) == 1:
        with part_of(folder, files[0].content) as written:
            yield written
        return
    written = folder / f".{secrets.token_hex(8)}.part"
    try:
        written.mkdir()
        for file in files:
            write_whole(written / f"{name}{file.suffix}", file.content)
        synced(written)
        yield written
    finally:
        shutil.rmtree(written, ignore_errors=True)


def synced(folder: Path) -> None:
    """New names are on the disk, where the system can be asked for that."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def settled(folder: Path, old: Collection[str], new: Collection[str]) -> None:
    """The manifest knows the new files: those of an earlier run that they did not replace go, and the journal too."""
    kept = {name.partition("/")[0] for name in new}
    for name in {name.partition("/")[0] for name in old} - kept:
        remove(folder / name)
    (folder / JOURNAL).unlink(missing_ok=True)


def recover(folder: Path, is_recorded: Callable[[str, str], bool]) -> None:
    """Mend what a killed run left: files of which the manifest does not know, for it was to be written after them."""
    journal = read_journal(folder)
    if journal and is_recorded(journal["name"], journal["key"]):
        settled(folder, journal["old"], [journal["target"]])
    elif journal:
        remove(folder / journal["target"])
    (folder / JOURNAL).unlink(missing_ok=True)
    with os.scandir(folder) as entries:
        for entry in entries:
            if re.fullmatch(PART, entry.name):
                remove(Path(entry.path))


def read_journal(folder: Path) -> dict[str, Any] | None:
    """What was being put into the folder; None if nothing was."""
    try:
        found = parse_json(read_regular(folder / JOURNAL, MAX_JSON_BYTES))
        names = [found["name"], found["key"], found["target"], *found["old"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if all(isinstance(name, str) and is_plain(name) for name in names[2:]) else None


def is_plain(name: str) -> bool:
    """Whether a name stays inside its folder."""
    return ".." not in name.split("/") and not name.startswith(("/", "\\")) and ":" not in name


def remove(path: Path) -> None:
    """A file or a folder of ours, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
