"""Where ComfyUI keeps files: models of every kind, and what a user may load. Nothing outside of its folders is read."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import folder_paths

from ...acestep_core.errors import InvalidInputError
from ...acestep_core.networks.config import AUDIO_CODES, TEXT_ROWS

FOLDER_KEY = "acestep"  # models/acestep: whole checkpoints in folders
CONFIG_MARK, DIFFUSERS_MARK = FOLDER_MARKS = ("config.json", "model_index.json")
PLANNER = "planner"  # a folder of a Qwen3 that knows audio codes
FOLDER_DEPTH = 3
QWEN_VOCABULARY = Path("comfy", "text_encoders", "qwen25_tokenizer")


def register_folder() -> None:
    """Make `models/acestep` known; the one thing of ComfyUI that this pack adds to."""
    if FOLDER_KEY not in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(FOLDER_KEY, str(Path(folder_paths.models_dir) / FOLDER_KEY))


def files_in(*keys: str) -> list[str]:
    """Names of the safetensors files in ComfyUI's folders of these kinds, sorted, each once."""
    names = {name for key in keys for name in folder_paths.get_filename_list(key)}
    return sorted(name for name in names if name.endswith((".safetensors", ".sft")))


def folders_in(*kinds: str) -> list[str]:
    """Names of the folders below models/acestep whose marking file says one of these kinds (see `kind_of_folder`)."""
    found = []
    for root in map(Path, folder_paths.get_folder_paths(FOLDER_KEY)):
        for place, inside, files in os.walk(root, followlinks=True):
            folder = Path(place)
            marked = folder != root and is_checkpoint(folder, inside, files)
            if marked and kind_of_folder(folder) in kinds:
                found.append(folder.relative_to(root).as_posix())
            if marked or len(folder.relative_to(root).parts) >= FOLDER_DEPTH:
                inside.clear()
    return sorted(set(found))


def is_checkpoint(folder: Path, inside: Iterable[str], files: Iterable[str]) -> bool:
    """Whether a folder is marked as a checkpoint, and not merely the top of a download that holds several."""
    if DIFFUSERS_MARK in files or CONFIG_MARK not in files:
        return DIFFUSERS_MARK in files
    weights = any(name.endswith(".safetensors") for name in files)
    return weights or not any((folder / name / CONFIG_MARK).is_file() for name in inside)


def kind_of_folder(folder: Path) -> str:
    """What a marked folder holds, in the words of its own file: diffusers, acestep, qwen3, AutoencoderOobleck, ..."""
    if (folder / DIFFUSERS_MARK).is_file():
        return "diffusers"
    try:
        config = json.loads((folder / CONFIG_MARK).read_text(encoding="utf-8"))
        if config.get("model_type") == "qwen3" and config.get("vocab_size", 0) >= TEXT_ROWS + AUDIO_CODES:
            return PLANNER
        return str(config.get("model_type") or config.get("_class_name"))
    except (OSError, ValueError, AttributeError, TypeError):
        return "unreadable"


def path_of(name: str, *keys: str) -> Path:
    """The file or folder of this name; never one outside of ComfyUI's folders."""
    for root in folder_paths.get_folder_paths(FOLDER_KEY):
        folder = Path(root) / name
        if folder != Path(root) and folder.is_dir() and is_inside(folder, [root]):
            return folder
    for key in keys:
        path = folder_paths.get_full_path(key, name)
        if path is not None and is_inside(Path(path), folder_paths.get_folder_paths(key)):
            return Path(path)
    places = ", ".join(f"models/{key}" for key in (FOLDER_KEY, *keys))
    raise InvalidInputError(
        f"There is no {name!r} in {places}.", "Put it there and refresh, or choose another file."
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
    if not found or not is_inside(Path(found), own) or not Path(found).is_file():
        raise InvalidInputError(  # the same of what lies outside, which is nobody's business
            f"There is no file {name!r} in the input folder.", "Upload it, or choose another file."
        )
    return Path(found)


def bundled_qwen() -> Path:
    """ComfyUI's own copy of the Qwen vocabulary, for text encoders that come as a single file."""
    return Path(str(folder_paths.__file__)).parent / QWEN_VOCABULARY


def files_to_load(extension: str, saved: str) -> list[str]:
    """Names of the input folder's own files, and, marked as such, of those anywhere in the folder `saved` of the output.

    ComfyUI asks for this whenever it describes the node, so the whole output folder would be too much to walk through.
    """
    inputs, outputs = Path(folder_paths.get_input_directory()), Path(folder_paths.get_output_directory())
    own = sorted(path.name for path in inputs.glob(f"*{extension}") if path.is_file())
    found = (path for path in (outputs / saved).rglob(f"*{extension}") if path.is_file())
    return [*own, *sorted(f"{path.relative_to(outputs).as_posix()} [output]" for path in found)]
