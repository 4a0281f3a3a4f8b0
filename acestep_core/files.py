"""Files that are there whole or not at all, and the one door through which JSON comes in."""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .errors import FileError, UnsupportedCheckpointError, is_full

PART = r"\.[0-9a-f]{16}\.part"  # what is being written beside its target, or was left by a killed process
PART_SECONDS = 3600.0  # nobody writes to one file for so long
MAX_JSON_BYTES = 4 << 20  # a config.json has kilobytes, an index of shards hundreds of them
MAX_JSON_DEPTH = 64

NAME_REMEDIES = {  # what helps where the disk dislikes the name
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EINVAL: 'Choose a name without < > : " | ? and *.',  # as Windows says it
}

Content = bytes | memoryview


def write_whole(path: Path, content: Content) -> None:
    """Write beside the target under a passing name, then rename: nobody ever sees half a file."""
    with naming(path), part_of(path.parent, content) as part:
        part.replace(path)


def write_new(names: Iterable[Sequence[Path]], contents: Sequence[Content]) -> Sequence[Path]:
    """Write `contents` under the first of these groups of names of which nothing has any, and tell which one it was.

    A name that another process takes meanwhile is its own; the next group is tried, and nothing is overwritten.
    """
    groups = iter(names)
    paths = next(groups)
    with naming(paths[0]), contextlib.ExitStack() as stack:
        parts = [stack.enter_context(part_of(paths[0].parent, content)) for content in contents]
        while not published(parts, paths):
            paths = next(groups)
    return paths


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """What the disk refuses is said of this file, with what helps."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"{path.name} cannot be written to {path.parent}: {error.strerror}.",
            NAME_REMEDIES.get(error.errno or 0, "Choose a folder that exists, is writable and has room."),
        ) from error


@contextlib.contextmanager
def part_of(folder: Path, content: Content) -> Iterator[Path]:
    """The whole content on the disk, under a passing name that ends with the block."""
    part = folder / f".{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def published(parts: Sequence[Path], paths: Sequence[Path]) -> bool:
    """Give every part its name, unless one of the names is taken: then none of them gets one."""
    done = list[Path]()
    try:
        for part, path in zip(parts, paths, strict=True):
            publish(part, path)
            done.append(path)
    except OSError as fault:
        for part, path in zip(parts, done, strict=False):
            if part.exists():  # it was linked
                path.unlink()
            else:
                path.replace(part)
        if isinstance(fault, FileExistsError):
            return False
        raise
    return True


def publish(part: Path, path: Path) -> None:
    """Give a written file a name that nothing has; FileExistsError if something has it, in whatever process.

    Only one process can link to a name or create it, on network shares as well. Where the file system has no hard links
    (exFAT, some shares), the name is reserved by an empty file, and only this file of our own is replaced.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except (OSError, AttributeError, NotImplementedError):  # the latter two: hosts without os.link
        path.open("xb").close()
        try:
            part.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def remove_leftovers(written: Path) -> None:
    """Remove what processes that were killed while writing left beside a new file, whose time is that of its disk.

    A part of a living process is younger: its content is in memory when it is made, and its age starts at the last write.
    """
    with contextlib.suppress(OSError), os.scandir(written.parent) as entries:
        now = written.stat().st_mtime
        for entry in entries:
            if re.fullmatch(PART, entry.name):
                with contextlib.suppress(OSError):
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode) and now - state.st_mtime > PART_SECONDS:
                        Path(entry.path).unlink()


def is_file(path: Path) -> bool:
    """Whether this is a regular file that can be asked about; never raises, unlike `Path.is_file`."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether this is a folder that can be asked about; never raises, unlike `Path.is_dir`."""
    return os.path.isdir(path)  # noqa: PTH112


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most so many bytes; OSError of anything else, and nothing is waited for."""
    how = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    if not stat.S_ISREG(path.stat().st_mode):  # opening a device may already do something
        raise OSError(errno.EINVAL, "it is no regular file")
    with os.fdopen(os.open(path, how), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MB")
    return content


def parse_json(content: bytes, limit: int = MAX_JSON_BYTES) -> Any:
    """Whatever JSON says; ValueError for everything that is no JSON, or larger or deeper than JSON of ours can be."""
    if len(content) > limit:
        raise ValueError(f"it is larger than {limit >> 20} MB")
    try:
        parsed = json.loads(content.decode("utf-8-sig"))
    except RecursionError as fault:
        raise ValueError("it is nested too deeply") from fault
    level: list[Any] = [parsed] if isinstance(parsed, dict | list) else []
    for _ in range(MAX_JSON_DEPTH):
        if not level:
            return parsed
        children = (node.values() if isinstance(node, dict) else node for node in level)
        level = [child for some in children for child in some if isinstance(child, dict | list)]
    raise ValueError("it is nested too deeply")


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """A JSON file that has to be an object."""
    try:
        content = parse_json(read_regular(path, limit), limit)
    except (OSError, ValueError) as fault:
        if is_full(fault):
            raise
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise UnsupportedCheckpointError(f"{path} cannot be read ({why}).", "Download it again.") from fault
    if not isinstance(content, dict):
        raise UnsupportedCheckpointError(f"{path} is not a JSON object.", "Download it again.")
    return content
