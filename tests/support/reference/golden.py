"""Recorded data of the reference model, and our networks with the weights that made it."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from acestep_core.networks.audio_codes import AudioCodec
from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.dit import DiffusionTransformer

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"


@cache
def golden(name: str) -> dict[str, Tensor]:
    """Recorded tensors of the reference model."""
    return load_file(GOLDEN / f"golden_{name}.safetensors")


def golden_case(name: str, case: str) -> dict[str, Tensor]:
    """The recorded tensors of one case."""
    return {
        key.removeprefix(f"{case}/"): value
        for key, value in golden(name).items()
        if key.startswith(f"{case}/")
    }


@cache
def golden_tools(name: str) -> dict[str, Tensor]:
    """Recorded tensors of the edit tools."""
    return load_file(GOLDEN / "tools" / f"{name}.safetensors")


def tools_case(case: str, name: str = "runs") -> dict[str, Tensor]:
    """The recorded tensors of one case of the edit tools."""
    return {
        key.removeprefix(f"{case}/"): value
        for key, value in golden_tools(name).items()
        if key.startswith(f"{case}/")
    }


def loaded(make: Callable[[], nn.Module], prefix: str) -> Any:
    """A network of ours with the golden checkpoint's weights, read without our loader."""
    state = load_file(GOLDEN / "tiny_official" / "acestep-v15-turbo" / "model.safetensors")
    module = make()
    keys = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if isinstance(module, DiffusionTransformer):
        keys["null_condition_emb"] = state["null_condition_emb"]
    if isinstance(module, AudioCodec):
        keys = {
            key: value for key, value in state.items() if key.split(".")[0] in ("tokenizer", "detokenizer")
        }
    module.load_state_dict(keys)
    return module.train(False).requires_grad_(False)


@cache
def golden_config() -> ModelConfig:
    """Sizes of the golden checkpoint: 8 latent channels, window 4, head_dim 10."""
    return ModelConfig.from_json(
        json.loads((GOLDEN / "tiny_official/acestep-v15-turbo/config.json").read_text())
    )


@cache
def golden_transformer() -> DiffusionTransformer:
    """The transformer that made the golden data."""
    return loaded(lambda: DiffusionTransformer(golden_config(), nn), "decoder.")


@cache
def golden_condition_encoder() -> ConditionEncoder:
    """The condition encoder that made the golden data."""
    return loaded(lambda: ConditionEncoder(golden_config(), nn), "encoder.")


@cache
def golden_codec() -> AudioCodec:
    """The tokenizer and detokenizer that made the golden data."""
    return loaded(lambda: AudioCodec(golden_config(), nn), "")


@cache
def golden_silence() -> Tensor:
    """[1, 15000, 8]: the golden checkpoint's silence."""
    path = GOLDEN / "tiny_official" / "acestep-v15-turbo" / "silence_latent.pt"
    return torch.load(path, weights_only=True).transpose(1, 2).contiguous()
