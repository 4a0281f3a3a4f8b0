"""How large everything is: as published, and so small that a CPU is through in seconds."""

from dataclasses import dataclass, replace

import torch

from acestep_core.networks.config import ModelConfig, VaeConfig
from acestep_core.networks.qwen3 import Qwen3Sizes
from support.reference.oracle import TURBO
from support.reference.vae import FULL
from support.reference.vae import TINY as PEER
from support.tiny.shapes import FULL_QWEN
from support.tiny.weights import PLANNER_CONFIG, TEXT_CONFIG, VAE_CONFIG, tiny_config

ROWS = 217_204  # of a planner's table
PUBLISHED_PLANNER = Qwen3Sizes(**{**FULL_QWEN, "vocab_size": ROWS})


@dataclass(frozen=True)
class Sizes:
    """One size of everything that is measured."""

    config: ModelConfig
    vae: VaeConfig
    peer_vae: VaeConfig  # whose latents are as wide as diffusers' class wants them
    text: Qwen3Sizes
    planners: dict[str, Qwen3Sizes]
    dtype: torch.dtype
    equal_layers: int  # of the transformer that is compared with the CPU
    equal_seconds: float
    tokens: int  # of the conditions of an evaluation
    evaluated: tuple[float, ...]  # seconds of music
    coded: tuple[float, ...]  # that are decoded and encoded
    songs: tuple[float, ...]  # from words to sound
    codes: int  # that a planner writes
    block: int  # numbers that are read to learn the memory's speed
    budgets: tuple[int, ...] = (4, 6, 8)  # GiB
    budget_seconds: float = 30.0


REAL = Sizes(
    config=TURBO,
    vae=FULL,
    peer_vae=FULL,
    text=Qwen3Sizes(**FULL_QWEN),
    planners={
        "1.7B": replace(PUBLISHED_PLANNER, hidden_size=2048, intermediate_size=6144),
        "4B": replace(
            PUBLISHED_PLANNER,
            hidden_size=2560,
            intermediate_size=9728,
            num_hidden_layers=36,
            num_attention_heads=32,
        ),
    },
    dtype=torch.bfloat16,
    equal_layers=4,
    equal_seconds=10.0,
    tokens=769,
    evaluated=(30.0, 240.0),
    coded=(30.0, 240.0),
    songs=(30.0, 240.0, 600.0),
    codes=100,
    block=1 << 30,
)
TINY = Sizes(
    config=ModelConfig.from_json(tiny_config("turbo")),
    vae=VaeConfig.from_json(VAE_CONFIG),
    peer_vae=PEER,
    text=Qwen3Sizes.from_json(TEXT_CONFIG),
    planners={"1.7B": Qwen3Sizes.from_json(PLANNER_CONFIG)},
    dtype=torch.float32,
    equal_layers=2,
    equal_seconds=2.0,
    tokens=20,
    evaluated=(2.0, 6.0),
    coded=(1.0,),
    songs=(5.5,),
    codes=4,
    block=1 << 16,
    budget_seconds=5.5,
)


def size(tiny: bool) -> Sizes:
    """Either of the two."""
    return TINY if tiny else REAL
