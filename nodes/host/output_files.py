"""New files in ComfyUI's output and temp folders: names that nothing has yet, and content that is there whole or not at all."""

import hashlib
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath

import folder_paths
from comfy.cli_args import args

from ...acestep_core.errors import FileError, InvalidInputError
from ...acestep_core.files import Content, is_file, naming, remove_leftovers, write_new, write_whole

BATCH_NUMBER = "%batch_num%"
FOLDERS = {"output": folder_paths.get_output_directory, "temp": folder_paths.get_temp_directory}


class FreeNames:
    """The free names of a prefix: `song_00001_.wav` and so on, counted over every extension as ComfyUI does."""

    def __init__(self, prefix: str, kind: str = "output") -> None:
        """prefix: a name that may lead into folders. kind: output or temp."""
        self.kind = kind
        try:
            folder, self._name, self._counter, self.subfolder, _ = folder_paths.get_save_image_path(
                inside(prefix), FOLDERS[kind]()
            )
        except OSError as error:
            raise FileError(
                f"The folder of {prefix[:80]!r} cannot be made in the {kind} folder: {error.strerror}.",
                "Choose another name, or a folder that is writable and has room.",
            ) from error
        self._folder = Path(folder)
        self._swept = False

    def write(self, item: int, contents: Mapping[str, Content]) -> Sequence[Path]:
        """Write an item of a batch: contents by extension, all under the same new name. Their paths, in that order."""
        paths = write_new(self._groups(item, list(contents)), list(contents.values()))
        if not self._swept:
            self._swept = True
            remove_leftovers(paths[0])
        return paths

    def _groups(self, item: int, extensions: Sequence[str]) -> Iterator[list[Path]]:
        """Paths of one name after the other, without those that are visibly taken."""
        name = self._name.replace(BATCH_NUMBER, str(item))
        while True:
            paths = [self._folder / f"{name}_{self._counter:05}_{extension}" for extension in extensions]
            self._counter += 1
            if not any(map(os.path.lexists, paths)):
                yield paths


def kept_in_temp(name: str, content: Callable[[], Content]) -> str:
    """A file of the temp folder whose name tells its content, so that it is made and written once; the name."""
    path = Path(FOLDERS["temp"]()) / name
    if not is_file(path):
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content())
    return name


def in_temp(content: bytes, extension: str) -> str:
    """The name of a file in the temp folder that holds this; the same content is the same file, written once."""
    return kept_in_temp(f"acegraph_{hashlib.sha256(content).hexdigest()[:32]}{extension}", lambda: content)


def inside(prefix: str) -> str:
    """The prefix with plain slashes; refused when it would leave the folder that it is for."""
    either = PureWindowsPath(prefix)  # knows both separators, drives and roots
    plain = posixpath.normpath(prefix.strip().replace("\\", "/"))
    if either.anchor or ".." in either.parts or plain == "." or not prefix.isprintable():
        raise InvalidInputError(
            f"{prefix[:80]!r} is no name in the output folder.",
            "Give a name such as audio/song, without .. and without a leading slash or drive.",
        )
    return plain


def may_hold_metadata() -> bool:
    """False when ComfyUI was started with --disable-metadata."""
    return not args.disable_metadata
