"""Files that are there whole or not at all."""

import contextlib
import errno
import json
import os
import secrets
from pathlib import Path
from typing import Any

from .errors import FileError, UnsupportedCheckpointError


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write beside the target under a passing name, then rename: nobody ever sees half a file."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise FileError(
            f"{path.name} cannot be written to {path.parent}: {error.strerror}.",
            "Choose a shorter name."
            if error.errno == errno.ENAMETOOLONG
            else "Choose a folder that exists, is writable and has room.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that has to be an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise UnsupportedCheckpointError(f"{path} cannot be read ({fault}).", "Download it again.") from fault
    if not isinstance(content, dict):
        raise UnsupportedCheckpointError(f"{path} is not a JSON object.", "Download it again.")
    return content
