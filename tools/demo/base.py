"""The demo's folders: ComfyUI's own with the pack in them, and tiny models beside which a user may put real ones."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from support.comfyui import host as comfy_host
from support.comfyui import models as comfy_models
from support.tiny import adapters as tiny_adapters
from support.tiny import checkpoint as tiny_checkpoint
from support.tiny import tokenizer as tiny_tokenizer
from support.tiny import weights as tiny_weights
from tools.workflows import recording

STAMP = ".tiny.json"  # in models: which tiny files were put there, written when all of them are
BUILDERS = (comfy_models, tiny_adapters, tiny_checkpoint, tiny_tokenizer, tiny_weights)


def furnished(base: Path) -> Path:
    """The base directory: pack, recording, and the tiny models, unless these very ones are there."""
    base.mkdir(parents=True, exist_ok=True)
    (base / "custom_nodes" / "acestep-graph").unlink(missing_ok=True)  # the pack may have moved
    comfy_models.make_base(base, comfy_host.PACK)
    recording.write(base / "input")
    wanted, stamp = {"sources": digest(BUILDERS), "tiny": str(base / "tiny")}, base / "models" / STAMP
    found = read(stamp)
    if found.items() >= wanted.items():
        return base
    remove_tiny(base / "models", found)
    stamp.unlink(missing_ok=True)
    files = renew(base / "tiny", base / "models")
    stamp.write_text(json.dumps({**wanted, "files": files}), encoding="utf-8")
    return base


def digest(modules: tuple[ModuleType, ...]) -> str:
    """One number for the sources that decide what the tiny models hold."""
    return hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules)).hexdigest()


def read(stamp: Path) -> dict[str, Any]:
    """What the stamp says; nothing, if it is missing or was cut off."""
    try:
        return json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def renew(tiny: Path, models: Path) -> dict[str, int]:
    """Build the tiny models again and put them where nothing else is; their files and sizes."""
    shutil.rmtree(tiny, ignore_errors=True)
    files = comfy_models.files(comfy_models.build(tiny))
    remove_tiny(models, {"tiny": str(tiny), "files": files})
    comfy_models.link(tiny, models)
    return files


def remove_tiny(models: Path, stamp: Mapping[str, Any]) -> None:
    """Take away the files that have a tiny file's size, and the links to tiny folders; all else is the user's."""
    for name, size in stamp.get("files", {}).items():
        path = models / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size == size:
            path.unlink()
    for path in (models / "acestep").glob("*"):
        if "tiny" in stamp and path.is_symlink() and path.readlink().is_relative_to(stamp["tiny"]):
            path.unlink()
