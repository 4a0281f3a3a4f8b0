"""Teaches the finished tiny model a style that it does not know, by a LoRA, as one would teach the real model.

python -m training.adapter [OUT] [--style march] [--steps 150] [--rank 4]

OUT/adapter_config.json, adapter_model.safetensors   PEFT's pair; Load LoRA takes the folder, and the file alone

The weights of the model stay as they are. Beside every matrix W of its blocks stands a product of two thin ones,
W + alpha / rank * up @ down, and only these learn. `up` begins as zeros, so that the first step starts from the model.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import export
from .composer import FOREIGN
from .examples import batch
from .generator import levels
from .network import TinyModel, flow_loss
from .playing import CHECKPOINT

MARCH = CHECKPOINT.parent / "march"  # the adapter that comes with the model
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RATE, SONGS, FRAMES, SEED = 0.003, 8, 128, 11
CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "task_type": None,
    "base_model_name_or_path": "training/tiny",
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
    "lora_dropout": 0.0,
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "target_modules": list(TARGETS),
    "use_dora": False,
    "use_rslora": False,
}


class Adapted(nn.Module):
    """A linear layer with a low-rank product beside its weight."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.layer, self.scale = layer, alpha / rank
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) / math.sqrt(layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., I] -> [..., O]."""
        return self.layer(x) + self.scale * (x @ self.down.T) @ self.up.T


def adapt(model: TinyModel, rank: int, alpha: float) -> dict[str, Adapted]:
    """Put products beside all matrices of the blocks; they, by the official names of their layers."""
    model.requires_grad_(False)
    found = {}
    for name, layer in list(model.dit.named_modules()):
        owner, _, own = name.rpartition(".")
        if own in TARGETS and isinstance(layer, nn.Linear):
            found[name] = Adapted(layer, rank, alpha)
            setattr(model.dit.get_submodule(owner), own, found[name])
    return found


def teach(model: TinyModel, adapted: dict[str, Adapted], style: str, steps: int) -> list[float]:
    """Learn from songs of one style; the losses."""
    factors = [factor for one in adapted.values() for factor in (one.down, one.up)]
    optimiser = torch.optim.Adam(factors, betas=(0.9, 0.98))
    rng, losses, start = np.random.default_rng(SEED), [], time.monotonic()
    for step in range(steps):
        lessons = batch(rng, SONGS, FRAMES, style=style)
        noise = torch.randn_like(lessons.clean)
        loss = flow_loss(model, lessons.clean, lessons.weight, levels(SONGS), noise, lessons.shown)
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 10) * (1 - step / steps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if (step + 1) % 20 == 0:
            shown = np.mean(losses[-20:])
            print(
                f"step {step + 1} of {steps}  loss {shown:.4f}  {time.monotonic() - start:.0f} s", flush=True
            )
    return losses


def write(out: Path, adapted: dict[str, Adapted], rank: int, alpha: float) -> None:
    """PEFT's pair, as the official trainer writes it."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, one in adapted.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = one.down.detach().bfloat16().contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = one.up.detach().bfloat16().contiguous()
    save_file(tensors, out / "adapter_model.safetensors", metadata={"format": "pt"})
    export.write_json(out / "adapter_config.json", {**CONFIG, "r": rank, "lora_alpha": alpha})


def main() -> None:
    """Teach from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, nargs="?", default=MARCH)
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--style", choices=sorted(FOREIGN), default="march")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(SEED)
    model = export.read(given.model)
    adapted = adapt(
        model, given.rank, alpha=given.rank
    )  # so that the file alone, without its alpha, is the same
    teach(model, adapted, given.style, given.steps)
    write(given.out, adapted, given.rank, alpha=given.rank)
    size = sum(file.stat().st_size for file in given.out.iterdir())
    print(f"{given.out}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
