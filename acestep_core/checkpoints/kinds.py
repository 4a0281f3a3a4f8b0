"""What a folder holds, as it says itself in its config.json or model_index.json; weights are not looked at."""

from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import UnsupportedCheckpointError
from ..files import is_file, is_folder, read_json
from ..networks.config import AUDIO_CODES, TEXT_ROWS

CONFIG, DIFFUSERS_INDEX, TOKENIZER = "config.json", "model_index.json", "tokenizer.json"


class Kind(Enum):
    """What a folder may hold, in words."""

    MODEL = "a music model"
    TEXT_ENCODER = "a Qwen3 text encoder"
    PLANNER = "a planner"
    VAE = "an Oobleck VAE"
    OTHER = "something unknown"


def kind_of_folder(folder: Path) -> Kind | None:
    """What a folder says of itself; None where it says nothing that can be read."""
    if is_file(folder / DIFFUSERS_INDEX):
        return Kind.MODEL
    try:
        config = read_json(folder / CONFIG)
    except UnsupportedCheckpointError:
        return None
    named = str(config.get("model_type") or config.get("_class_name"))
    if named == "qwen3":
        rows = config.get("vocab_size")
        return Kind.PLANNER if isinstance(rows, int) and knows_codes(rows) else Kind.TEXT_ENCODER
    return {"acestep": Kind.MODEL, "AutoencoderOobleck": Kind.VAE}.get(named, Kind.OTHER)


def is_whole(folder: Path) -> bool:
    """Whether a folder is a model or a part of one, and not merely the top of a download, which has a config as well."""
    if is_file(folder / DIFFUSERS_INDEX):
        return True
    if not is_file(folder / CONFIG):
        return False
    with suppress(OSError):  # of a folder that cannot be listed
        return any(folder.glob("*.safetensors")) or not any(folder.glob(f"*/{CONFIG}"))
    return False


def knows_codes(rows: int) -> bool:
    """Whether a Qwen3 with so many rows in its embedding table is a planner: audio codes come after the text."""
    return rows >= TEXT_ROWS + AUDIO_CODES


def qwen_folder(path: Path) -> Path | None:
    """The folder of a Qwen3; a file inside of one counts as the folder. None: the file stands alone."""
    if is_folder(path):
        return path
    folder = path.parent
    return folder if is_file(folder / CONFIG) and is_file(folder / TOKENIZER) else None


def qwen_config(folder: Path, part: str, remedy: str) -> dict[str, Any]:
    """The config.json of a Qwen3's folder; diffusers' own components name their class there."""
    raw = read_json(folder / CONFIG)
    if "_class_name" in raw:
        raise UnsupportedCheckpointError(
            f"The folder {folder.name} is no {part} but a {raw['_class_name']}.", remedy
        )
    return raw


def require_tokenizer(folder: Path) -> Path:
    """The folder, if it holds a tokenizer."""
    if not is_file(folder / TOKENIZER):
        raise UnsupportedCheckpointError(
            f"{folder} has no {TOKENIZER}.", f"Download {TOKENIZER} into that folder as well."
        )
    return folder
