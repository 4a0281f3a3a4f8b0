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
MUSIC, MARCH = (comfy_host.PACK / "training" / name for name in ("tiny", "march"))
STAND_INS = {  # the file that the templates ask for -> the part of the musical model that is found in its place
    "diffusion_models/acestep_v1.5_turbo.safetensors": "acestep-v15-base",
    "diffusion_models/acestep_v1.5_base.safetensors": "acestep-v15-base",
    "text_encoders/qwen_0.6b_ace15.safetensors": "Qwen3-Embedding-0.6B",
    "vae/ace_1.5_vae.safetensors": "vae",
}
ADAPTERS = {  # the adapters that the templates name -> the one that the musical model was taught
    "loras/my_lora.safetensors": "adapter_model.safetensors",
    "loras/my_second_lora/adapter_model.safetensors": "adapter_model.safetensors",
    "loras/my_second_lora/adapter_config.json": "adapter_config.json",
}


def furnished(base: Path) -> Path:
    """The base directory: pack, recording, and the tiny models, unless these very ones are there."""
    base.mkdir(parents=True, exist_ok=True)
    (base / "custom_nodes" / "acestep-graph").unlink(missing_ok=True)  # the pack may have moved
    comfy_models.make_base(base, comfy_host.PACK)
    recording.write(base / "input")
    wanted, stamp = {"sources": digest(BUILDERS), "tiny": str(base / "tiny")}, base / "models" / STAMP
    found = read(stamp)
    if not found.items() >= wanted.items():
        remove_tiny(base / "models", found)
        stamp.unlink(missing_ok=True)
        found = {**wanted, "files": renew(base / "tiny", base / "models")}
        stamp.write_text(json.dumps(found), encoding="utf-8")
    play_music(base / "models", found["files"])
    return base


def play_music(models: Path, tiny: Mapping[str, int]) -> None:
    """Folders of the musical model under the names that the templates ask for, until a user brings a real file.

    A folder in models/acestep comes before a file of its name, and the silence of a folder is what keeps its beat.
    """
    sizes = {name: (models / name).stat().st_size for name in STAND_INS if (models / name).is_file()}
    is_all_tiny = bool(STAND_INS) and all(sizes.get(name) == tiny.get(name) for name in STAND_INS)
    folders = {models / "acestep" / Path(name).name: MUSIC / part for name, part in STAND_INS.items()}
    files = {models / name: MARCH / part for name, part in ADAPTERS.items()}
    for link, target in {**folders, **files}.items():
        if link.is_symlink() and link.readlink().parts[-3:] == target.parts[-3:]:
            link.unlink()  # the pack may have moved
        name = link.relative_to(models).as_posix()
        if is_all_tiny and link in files and is_tiny(link, tiny.get(name)):
            link.unlink()
        if is_all_tiny:
            comfy_models.soft_link(target, link)


def is_tiny(path: Path, size: int | None) -> bool:
    """Whether it is the tiny file of that size, and not one of the user's."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size == size


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
        if is_tiny(models / name, size):
            (models / name).unlink()
    for path in (models / "acestep").glob("*"):
        if "tiny" in stamp and path.is_symlink() and path.readlink().is_relative_to(stamp["tiny"]):
            path.unlink()
