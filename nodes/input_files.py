"""Files that a user may pick in a node: those of ComfyUI's input folder, and what was saved before."""

from pathlib import Path

import folder_paths  # noqa: TID251


def files_to_load(extension: str, saved: str) -> list[str]:
    """Names of the input folder's own files, and, marked as such, of those anywhere in the folder `saved` of the output.

    ComfyUI asks for this whenever it describes the node, so the whole output folder would be too much to walk through.
    """
    inputs, outputs = Path(folder_paths.get_input_directory()), Path(folder_paths.get_output_directory())
    own = sorted(path.name for path in inputs.glob(f"*{extension}") if path.is_file())
    found = (path for path in (outputs / saved).rglob(f"*{extension}") if path.is_file())
    return [*own, *sorted(f"{path.relative_to(outputs).as_posix()} [output]" for path in found)]
