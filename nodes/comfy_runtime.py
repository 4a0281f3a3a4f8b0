"""The one module that talks to ComfyUI's engine: where weights lie, how a run is shown and stopped, where files are."""

import json
import logging
import os
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.ops
import comfy.utils
import folder_paths
import torch
from torch import nn

from ..acestep_core.errors import InvalidInputError

log = logging.getLogger("acestep-graph")

OPS = comfy.ops.manual_cast  # layers that fetch and cast their weights for each use
FOLDER_KEY = "acestep"  # models/acestep: whole checkpoints in folders
CONFIG_MARK, DIFFUSERS_MARK = FOLDER_MARKS = ("config.json", "model_index.json")
FOLDER_DEPTH = 3
AUTO = "auto"
WEIGHT_DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}


class Role(Enum):
    """What a network does decides on which devices ComfyUI wants it."""

    TRANSFORMER = "transformer"
    TEXT = "text encoder"
    VAE = "VAE"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        if self is Role.TEXT:
            return mm.text_encoder_device()
        return mm.vae_device() if self is Role.VAE else mm.get_torch_device()

    @property
    def rest_device(self) -> torch.device:
        """Where it waits."""
        if self is Role.TEXT:
            return mm.text_encoder_offload_device()
        return mm.vae_offload_device() if self is Role.VAE else mm.unet_offload_device()


class Managed:
    """A network that ComfyUI may load, move or evict between two uses."""

    def __init__(self, module: nn.Module, role: Role, dtype: torch.dtype, whole: bool = False) -> None:
        """dtype: what it computes in. whole: its layers cannot fetch their weights, so it is never loaded in part."""
        self.dtype = dtype
        self.patcher = comfy.model_patcher.ModelPatcher(module, role.device, role.rest_device)
        self._whole = whole

    def __repr__(self) -> str:
        return f"<{type(self.patcher.model).__name__} {self.patcher.model_size() / 2**20:.0f} MiB>"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.patcher.load_device

    def loaded(self, activation_bytes: int) -> Any:
        """Bring the weights in, with so much room left to compute; call at the start of every execution."""
        mm.load_models_gpu([self.patcher], memory_required=activation_bytes, force_full_load=self._whole)
        return self.patcher.model


def compute_dtype(role: Role, wanted: torch.dtype | None) -> torch.dtype:
    """What a network of this role computes in on this machine. wanted: the dtype of its weights, None for auto."""
    device = role.device
    if mm.is_device_cpu(device):
        if wanted in (torch.float32, torch.bfloat16):
            return wanted
        return torch.float32 if role is Role.VAE or wanted is torch.float16 else cpu_dtype()
    if wanted in (torch.float32, torch.bfloat16, torch.float16):
        return wanted
    return torch.bfloat16 if mm.should_use_bf16(device) else torch.float32


def cpu_dtype() -> torch.dtype:
    """bf16 where the CPU has it natively; everywhere else fp32, for fp16 crawls on CPUs."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return torch.bfloat16 if native else torch.float32


def rest_device() -> torch.device:
    """Where tensors wait between nodes."""
    return mm.intermediate_device()


def free_bytes(device: torch.device) -> int:
    """Memory that a run may take on a device now."""
    return int(mm.get_free_memory(device))


def stop_if_asked() -> None:
    """Raise ComfyUI's interruption if the user pressed Stop."""
    mm.throw_exception_if_processing_interrupted()


class Bar:
    """A node's progress bar; every move of it is also a place to stop."""

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)

    def move(self, done: int, total: int, preview: object = None) -> None:
        """Show `done` of `total`; preview: ("JPEG", image, longest side)."""
        stop_if_asked()
        self._bar.update_absolute(done, total, preview)


def tile_listener() -> Callable[[int, int], None]:
    """Shows tiles done, and stops between two of them."""
    bar = Bar(1)
    return lambda done, total: bar.move(done, total)


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
            marked = folder != root and any(mark in files for mark in FOLDER_MARKS)
            if marked and kind_of_folder(folder) in kinds:
                found.append(folder.relative_to(root).as_posix())
            if marked or len(folder.relative_to(root).parts) >= FOLDER_DEPTH:
                inside.clear()
    return sorted(set(found))


def kind_of_folder(folder: Path) -> str:
    """What a marked folder holds, in the words of its own file: diffusers, acestep, qwen3, AutoencoderOobleck, ..."""
    if (folder / DIFFUSERS_MARK).is_file():
        return "diffusers"
    try:
        config = json.loads((folder / CONFIG_MARK).read_text(encoding="utf-8"))
        return str(config.get("model_type") or config.get("_class_name"))
    except (OSError, ValueError, AttributeError):
        return "unreadable"


def path_of(name: str, *keys: str) -> Path:
    """The file or folder of this name; never one outside of ComfyUI's folders."""
    for root in folder_paths.get_folder_paths(FOLDER_KEY):
        folder = Path(root) / name
        if folder.is_dir() and is_inside(folder, [root]):
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
    """A file that the user put into ComfyUI's input folder."""
    if not folder_paths.exists_annotated_filepath(name):
        raise InvalidInputError(
            f"There is no file {name!r} in the input folder.", "Upload it, or choose another file."
        )
    path = Path(folder_paths.get_annotated_filepath(name))
    if not is_inside(path, [folder_paths.get_input_directory(), folder_paths.get_output_directory()]):
        raise InvalidInputError(f"{name!r} lies outside of the input folder.", "Choose a file inside of it.")
    return path


def bundled_qwen() -> Path:
    """ComfyUI's own copy of the Qwen vocabulary, for text encoders that come as a single file."""
    return Path(comfy.model_patcher.__file__).parent / "text_encoders" / "qwen25_tokenizer"
