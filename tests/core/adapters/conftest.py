"""The tiny networks, a LoRA for the transformer, and a writer of adapter files."""

from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import nn

from acestep_core.checkpoints.layouts import open_checkpoint
from acestep_core.checkpoints.load import load_transformer
from acestep_core.checkpoints.planner_files import load_planner, open_planner
from acestep_core.checkpoints.weights import shapes_of
from support.reference.adapter_checks import RANK, Write
from support.tiny.adapters import (
    ATTENTION,
    MLP,
    Lora,
    Named,
    modules,
    random_lora,
)


@pytest.fixture(scope="module")
def transformer(tiny_turbo: Path) -> nn.Module:
    return load_transformer(open_checkpoint(tiny_turbo / "official"))


@pytest.fixture(scope="module")
def planner(tiny_turbo: Path) -> nn.Module:
    return load_planner(open_planner(tiny_turbo / "official" / "acestep-5Hz-lm-1.7B"))


@pytest.fixture(scope="module")
def lora(transformer: nn.Module) -> Lora:
    names = [*modules(4, (*ATTENTION, *MLP)), "condition_embedder", "time_embed.linear_1"]
    return random_lora(shapes_of(transformer.state_dict()), names, RANK)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes tensors, by default beside a json that says nothing of them."""

    def write(tensors: Named, name: str = "my.safetensors", header: dict[str, str] | None = None) -> Path:
        save_file(
            {key: value.contiguous() for key, value in tensors.items()}, tmp_path / name, metadata=header
        )
        return tmp_path / name

    return write
