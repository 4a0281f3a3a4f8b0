"""Which ComfyUI is raced, and whether it has the model at all."""

import os
import re
from pathlib import Path

NETWORK = Path("comfy") / "ldm" / "ace" / "ace_step15.py"
NODE = "TextEncodeAceStepAudio1.5"
NAMED = "COMFYUI_DIR"  # in the environment
HINT = f"Set {NAMED} to a ComfyUI that has the node {NODE}."


class NoOpponentError(Exception):
    """There is nobody to race against; says why and what to do."""


def found() -> Path:
    """The ComfyUI that the environment names, if it has ACE-Step 1.5 of its own."""
    named = os.environ.get(NAMED)
    if not named:
        raise NoOpponentError(f"No ComfyUI is named. {HINT}")
    folder = Path(named).expanduser().resolve()
    if not (folder / "main.py").is_file():
        raise NoOpponentError(f"{folder} holds no ComfyUI. {HINT}")
    if not (folder / NETWORK).is_file():
        raise NoOpponentError(
            f"ComfyUI {version_of(folder)} in {folder} has no ACE-Step 1.5 of its own. {HINT}"
        )
    return folder


def version_of(folder: Path) -> str:
    """What a ComfyUI calls itself, read and not imported."""
    file = folder / "comfyui_version.py"
    told = (
        re.search(r"__version__ = \"([^\"]+)\"", file.read_text(encoding="utf-8")) if file.is_file() else None
    )
    return told[1] if told else "of unknown version"
