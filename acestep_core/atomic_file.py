"""Files that are there whole or not at all."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from .errors import InvalidAudioError


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
        raise InvalidAudioError(
            f"{path.name} cannot be written to {path.parent}: {error.strerror}.",
            "Choose a shorter name."
            if error.errno == errno.ENAMETOOLONG
            else "Choose a folder that exists, is writable and has room.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
