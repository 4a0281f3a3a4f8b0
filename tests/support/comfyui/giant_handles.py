"""What Load ACE-Step outputs for checkpoints of published size, out of tensors that hold nothing (see `fake_gpu`)."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from support.comfyui.handles import core
from support.tiny.shapes import (
    FULL_QWEN,
    FULL_SIZE,
    FULL_SIZE_XL,
    FULL_VAE,
    Shapes,
    model_shapes,
    qwen_shapes,
    vae_shapes,
)

CONFIGS = {"2B": FULL_SIZE, "XL": FULL_SIZE_XL}


class Giant(NamedTuple):
    """The sockets of one checkpoint."""

    model: Any
    text: Any
    vae: Any


class EmptyFile:
    """A file of any size without content."""

    path, mapped = Path("giant.safetensors"), None

    def open(self) -> None:
        return None


@dataclass(frozen=True)
class EmptyEntry:
    """A tensor of such a file, as `Weights` reads it."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    file: EmptyFile
    nbytes: int = 0

    def copies(self, dtype: torch.dtype | None) -> bool:
        return False

    def read(self, mapped: None, dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.empty(self.shape, dtype=dtype or self.dtype)


class Depth(NamedTuple):
    """How many layers the networks have; all layers of a network are made by the same lines."""

    transformer: int | None = None  # None: as many as were published
    text: int | None = None

    def of_transformer(self, config: dict[str, Any]) -> dict[str, Any]:
        """Shallower, and as wide as ever."""
        kinds = config["layer_types"][: self.transformer]
        return {**config, "layer_types": kinds, "num_hidden_layers": len(kinds)}

    def of_text(self, config: dict[str, Any]) -> dict[str, Any]:
        """Shallower, and as wide as ever."""
        return {**config, "num_hidden_layers": self.text or config["num_hidden_layers"]}


WHOLE = Depth()
SHALLOW = Depth(transformer=8, text=4)  # the transformer may not have fewer than its encoders


def giant_handles(
    pack: ModuleType,
    tokenizer: Path,
    size: str = "2B",
    variant: str = "TURBO",
    weights: str = "bf16",
    depth: Depth = WHOLE,
) -> Giant:
    """To be called inside of `fake_gpu`. tokenizer: a folder with a tokenizer.json; weights: as the loader's picker."""
    sizes_of_model, sizes_of_text = depth.of_transformer(CONFIGS[size]), depth.of_text(FULL_QWEN)
    load, runtime, sockets = (
        import_module(f"{pack.__name__}.nodes.{name}") for name in ("load", "host.runtime", "wires.sockets")
    )
    config, sizes, parts, oobleck = (
        core(pack, name)
        for name in ("networks.config", "networks.qwen3", "checkpoints.checkpoint", "checkpoints.load")
    )

    def empty(shapes: Shapes) -> Any:
        entries = {
            key: EmptyEntry(tuple(shape), torch.bfloat16, EmptyFile()) for key, shape in shapes.items()
        }
        return core(pack, "checkpoints.weights").Weights(entries)

    checkpoint = parts.Checkpoint(
        parts.ModelFiles(
            empty(model_shapes(sizes_of_model)),
            config.ModelConfig.from_json(sizes_of_model),
            core(pack, "checkpoints.variants").Variant[variant],
            None,
        ),
        parts.TextFiles(
            empty(qwen_shapes(sizes_of_text)), sizes.Qwen3Sizes.from_json(sizes_of_text), tokenizer
        ),
        parts.VaeFiles(empty(vae_shapes(FULL_VAE)), config.VaeConfig.from_json(FULL_VAE)),
    )
    silence, wanted = (
        core(pack, "silence").Silence(torch.empty(1, 15_000, 64)),
        runtime.WEIGHT_DTYPES[weights],
    )
    computing = runtime.compute_dtype(runtime.Role.VAE, wanted)
    vae = runtime.Managed(oobleck.load_vae(checkpoint, computing), runtime.Role.VAE, computing, whole=True)
    return Giant(
        load.model_handle(checkpoint, silence, wanted, size),
        load.text_handle(checkpoint, silence, wanted),
        sockets.VaeHandle(vae),
    )
