"""What Load ACE-Step outputs for the tiny checkpoint, built without a models folder."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch


class Handles(NamedTuple):
    """The sockets of one tiny checkpoint, and the networks behind them."""

    model: Any
    vae: Any
    oobleck: Any
    codec: Any


def core(pack: ModuleType, name: str) -> ModuleType:
    """A core module as the pack has it; its classes are not those of the top-level `acestep_core`."""
    return import_module(f"{pack.__name__}.acestep_core.{name}")


def tiny_handles(pack: ModuleType, models: Path) -> Handles:
    """The official tiny turbo checkpoint in fp32; `models` is the folder that the fixture of this name built."""
    checkpoint = core(pack, "checkpoints.layouts").open_checkpoint(
        models / "turbo" / "official" / "acestep-v15-turbo"
    )
    load, runtime, sockets = (
        import_module(f"{pack.__name__}.nodes.{name}") for name in ("load", "host.runtime", "wires.sockets")
    )
    oobleck = core(pack, "checkpoints.load").load_vae(checkpoint, torch.float32)
    model = load.model_handle(
        checkpoint, core(pack, "checkpoints.load").load_silence(checkpoint, oobleck), torch.float32, "tiny"
    )
    vae = sockets.VaeHandle(runtime.Managed(oobleck, runtime.Role.VAE, torch.float32, whole=True))
    return Handles(model, vae, oobleck, model.codec.patcher.model)
