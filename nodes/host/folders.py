"""Where ComfyUI keeps files: models of every kind, and what a user may load. Nothing outside of its folders is read."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath

import folder_paths

from ...acestep_core.adapters.adapter_file import ADAPTER_FILES
from ...acestep_core.checkpoints.kinds import Kind, is_whole, kind_of_folder
from ...acestep_core.errors import InvalidInputError
from ...acestep_core.files import is_file, is_folder

FOLDER_KEY = "acestep"  # models/acestep: whole checkpoints in folders
ADAPTER_KEY = "loras"
FOLDER_DEPTH = 3
LONGEST_SHOWN = 200  # characters of a name in a message
QWEN_VOCABULARY = Path("comfy", "text_encoders", "qwen25_tokenizer")


def register_folder() -> None:
    """Make `models/acestep` known; beside the address of recordings, the one thing of ComfyUI that this pack adds to."""
    if FOLDER_KEY not in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(FOLDER_KEY, str(Path(folder_paths.models_dir) / FOLDER_KEY))


def files_in(*keys: str) -> list[str]:
    """Names of the safetensors files in ComfyUI's folders of these kinds, sorted, each once."""
    names = {name for key in keys for name in folder_paths.get_filename_list(key)}
    return sorted(name for name in names if name.endswith((".safetensors", ".sft")))


def folders_in(kind: Kind) -> list[str]:
    """Names of the folders below models/acestep that say of themselves that they are of this kind."""
    found = set[str]()
    for root in map(Path, folder_paths.get_folder_paths(FOLDER_KEY)):
        for path, inside, _ in os.walk(root, followlinks=True):
            folder = Path(path)
            below = folder.relative_to(root)
            whole = folder != root and is_whole(folder)
            if whole and kind_of_folder(folder) is kind:
                found.add(below.as_posix())
            if whole or len(below.parts) >= FOLDER_DEPTH or is_in_itself(folder, root):
                inside.clear()
    return sorted(found)


def is_in_itself(folder: Path, root: Path) -> bool:
    """Whether a link led back to a folder that lies above; a few such links would be an endless number of folders."""
    above = folder.parents[: len(folder.relative_to(root).parts)]
    return os.path.realpath(folder) in map(os.path.realpath, above)


def path_of(name: str, *keys: str) -> Path:
    """The file or folder of this name; never one outside of ComfyUI's folders."""
    for root in folder_paths.get_folder_paths(FOLDER_KEY):
        folder = Path(root) / name
        if folder != Path(root) and is_folder(folder) and is_inside(folder, [root]):
            return folder
    for key in keys:
        path = folder_paths.get_full_path(key, name)
        if path is not None and is_inside(Path(path), folder_paths.get_folder_paths(key)):
            return Path(path)
    searched = ", ".join(f"models/{key}" for key in (FOLDER_KEY, *keys))
    raise InvalidInputError(
        f"There is no {shown(name)} in {searched}.", "Put it there and refresh, or choose another file."
    )


def shown(name: str) -> str:
    """A name, short enough for a message."""
    return repr(name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}...")


def adapters() -> list[str]:
    """Names in models/loras; where a trainer has named the file, its folder stands for it, with a slash at the end."""
    return sorted({shown_adapter(name) for name in files_in(ADAPTER_KEY)})


def shown_adapter(name: str) -> str:
    """What an adapter's file is called in a list."""
    path = PurePath(name)
    in_folder = path.name in ADAPTER_FILES and path.parent != PurePath()
    return f"{path.parent.as_posix()}/" if in_folder else name


def adapter_of(name: str) -> Path:
    """The file that a name in the list of adapters stands for; never one outside of ComfyUI's folders."""
    roots = folder_paths.get_folder_paths(ADAPTER_KEY)
    for file in [name + known for known in ADAPTER_FILES] if name.endswith("/") else [name]:
        path = folder_paths.get_full_path(ADAPTER_KEY, file)
        if path is not None and is_inside(Path(path), roots):
            return Path(path)
    raise InvalidInputError(
        f"There is no {shown(name)} in models/{ADAPTER_KEY}.",
        "Put it there and refresh, or choose another adapter.",
    )


def is_inside(path: Path, roots: Iterable[str]) -> bool:
    """Whether a name stayed inside its folder; a link out of it was put there by the owner and counts as inside."""
    plain = Path(*path.parts).absolute()
    return ".." not in path.parts and any(plain.is_relative_to(Path(root).absolute()) for root in roots)


def input_file(name: str) -> Path:
    """A file that the user put into ComfyUI's input folder, or one of the output folder marked `[output]`."""
    found = (
        folder_paths.get_annotated_filepath(name) if folder_paths.exists_annotated_filepath(name) else None
    )
    own = [folder_paths.get_input_directory(), folder_paths.get_output_directory()]
    if not found or not is_inside(Path(found), own) or not is_file(Path(found)):
        raise InvalidInputError(  # the same of what lies outside, which is nobody's business
            f"There is no file {shown(name)} in the input folder.", "Upload it, or choose another file."
        )
    return Path(found)


def viewed_file(name: str, subfolder: str, kind: str) -> Path | None:
    """A file as ComfyUI's /view is asked for it, in the input, output or temp folder; None where there is none inside."""
    root = folder_paths.get_directory_by_type(kind or "output")
    path = Path(root or "", subfolder, name)
    return path if root and is_inside(path, [root]) and is_file(path) else None


def bundled_qwen() -> Path:
    """ComfyUI's own copy of the Qwen vocabulary, for text encoders that come as a single file."""
    return Path(str(folder_paths.__file__)).parent / QWEN_VOCABULARY


def files_to_load(extension: str, saved: str) -> list[str]:
    """Names of the input folder's own files, and, marked as such, of those anywhere in the folder `saved` of the output.

    ComfyUI asks for this whenever it describes the node, so the whole output folder would be too much to walk through.
    """
    inputs, outputs = Path(folder_paths.get_input_directory()), Path(folder_paths.get_output_directory())
    own = sorted(path.name for path in files_below(inputs.glob, extension))
    found = files_below((outputs / saved).rglob, extension)
    return [*own, *sorted(f"{path.relative_to(outputs).as_posix()} [output]" for path in found)]


def files_below(search: Callable[[str], Iterable[Path]], extension: str) -> Iterator[Path]:
    """Regular files that a search finds; a folder that cannot be read ends it, and is no reason to fail."""
    with contextlib.suppress(OSError):
        yield from (path for path in search(f"*{extension}") if is_file(path))
