"""The tiny checkpoint where a user would put the real one: below ComfyUI's models folder, in all four layouts."""

import os
import shutil
from pathlib import Path

from support.tiny import adapters as tiny_adapters
from support.tiny import checkpoint as tiny_checkpoint

VARIANTS = ("turbo", "base")
PLANNER_FOLDER, PLANNER_FILE = tiny_checkpoint.PLANNER_FOLDER, tiny_checkpoint.PLANNER_FILE
TEXT_FILE, VAE_FILE = "qwen_0.6b_ace15.safetensors", "ace_1.5_vae.safetensors"
SUBFOLDERS = ("custom_nodes", "input", "output", "temp", "user/default", "models")


def layouts(variant: str = "turbo") -> dict[str, dict[str, str]]:
    """Layout -> the pickers of Load ACE-Step that open it."""
    return {
        "official": {"model": f"acestep-v15-{variant}"},
        "diffusers": {"model": f"diffusers-{variant}"},
        "aio": {"model": f"ace_step_1.5_{variant}_aio.safetensors"},
        "split": {"model": f"acestep_v1.5_{variant}.safetensors", "text_encoder": TEXT_FILE, "vae": VAE_FILE},
    }


def make_base(base: Path, pack: Path) -> Path:
    """A base directory for ComfyUI with the pack linked in as acestep-graph, and no models."""
    for name in SUBFOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    (base / "custom_nodes" / "acestep-graph").symlink_to(pack, target_is_directory=True)
    return base


def build(folder: Path) -> Path:
    """Write the checkpoints that `link` takes apart."""
    for variant in VARIANTS:
        tiny_checkpoint.build(folder / variant, variant)
    tiny_adapters.write_examples(folder / "loras", tiny_checkpoint.tiny_model().model)
    return folder


def files(built: Path) -> dict[str, int]:
    """The single files that `link` puts below models, and their sizes."""
    folders = [built / variant / "comfy" for variant in VARIANTS]
    found = {path.relative_to(folder): path for folder in folders for path in folder.rglob("*.safetensors")}
    found |= {path.relative_to(built): path for path in (built / "loras").rglob("*") if path.is_file()}
    return {name.as_posix(): path.stat().st_size for name, path in found.items()}


def link(built: Path, models: Path) -> None:
    """Put them under `models`: folders as links, as users with a second disk have them, files as hard links.

    What is there stays.
    """
    acestep = models / "acestep"
    acestep.mkdir(parents=True, exist_ok=True)
    for variant in VARIANTS:
        official = built / variant / "official"
        soft_link(official / f"acestep-v15-{variant}", acestep / f"acestep-v15-{variant}")
        soft_link(built / variant / "diffusers", acestep / f"diffusers-{variant}")
        shutil.copytree(built / variant / "comfy", models, copy_function=hard_link, dirs_exist_ok=True)
    shutil.copytree(built / "loras", models / "loras", copy_function=hard_link, dirs_exist_ok=True)
    for shared in (
        "vae",
        "Qwen3-Embedding-0.6B",
        PLANNER_FOLDER,
    ):  # the same seed makes them the same in every variant
        soft_link(built / VARIANTS[0] / "official" / shared, acestep / shared)


def soft_link(source: Path, target: Path) -> None:
    """A folder that also seems to be at `target`."""
    if not os.path.lexists(target):
        target.symlink_to(source)


def hard_link(source: str, target: str) -> None:
    """One file in two places."""
    if not os.path.lexists(target):
        Path(target).hardlink_to(source)
