"""Full-size networks with random weights: the reference's and ours, sharing memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from acestep_core.networks.condition_encoder import ConditionEncoder
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.dit import DiffusionTransformer
from benchmarks.harness import device
from support.reference.oracle import TURBO, official_names, stack_arguments


def with_layers(count: int) -> ModelConfig:
    """The published sizes at another depth; ratios hardly depend on it."""
    return replace(TURBO, num_hidden_layers=count, layer_types=TURBO.layer_types[:count])


def filled(make: Callable[[], nn.Module], dtype: torch.dtype, seed: int = 0, where: str | None = None) -> Any:
    """A network built without memory, then given random weights that keep signals alive, on the benchmark's device or where."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            module = make()
    finally:
        torch.set_default_dtype(default)
    module = module.to_empty(device=where or device())
    torch.manual_seed(seed)
    for name, parameter in module.named_parameters():
        if parameter.ndim >= 2:
            parameter.data.uniform_(-1, 1).mul_((3.0 / parameter[0].numel()) ** 0.5)
        elif "norm" in name:
            parameter.data.fill_(1.0)
        else:
            parameter.data.uniform_(-0.1, 0.1)
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.normal_()
    return module.to(dtype).train(False).requires_grad_(False)


def transformers(config: ModelConfig, dtype: torch.dtype) -> tuple[Any, DiffusionTransformer]:
    """Diffusers' transformer and ours on the same tensors."""
    from diffusers import AceStepTransformer1DModel

    theirs = filled(
        lambda: AceStepTransformer1DModel(
            **stack_arguments(config, encoder=False),
            num_hidden_layers=config.num_hidden_layers,
            in_channels=3 * config.audio_acoustic_hidden_dim,
            audio_acoustic_hidden_dim=config.audio_acoustic_hidden_dim,
            patch_size=config.patch_size,
            layer_types=list(config.layer_types),
            encoder_hidden_size=config.encoder_hidden_size,
        ),
        dtype,
    )
    with torch.device("meta"):
        ours = DiffusionTransformer(config, nn)
    null = torch.randn(1, 1, config.encoder_hidden_size, device=device()).to(dtype)
    state = {**official_names(theirs.state_dict()), "null_condition_emb": null}
    ours.load_state_dict(state, assign=True)
    return theirs, ours.requires_grad_(False)


def condition_encoders(config: ModelConfig, dtype: torch.dtype) -> tuple[Any, ConditionEncoder]:
    """Diffusers' condition encoder and ours on the same tensors."""
    from diffusers.pipelines.ace_step import AceStepConditionEncoder

    theirs = filled(
        lambda: AceStepConditionEncoder(
            **stack_arguments(config, encoder=True),
            text_hidden_dim=config.text_hidden_dim,
            timbre_hidden_dim=config.timbre_hidden_dim,
            num_lyric_encoder_hidden_layers=config.num_lyric_encoder_hidden_layers,
            num_timbre_encoder_hidden_layers=config.num_timbre_encoder_hidden_layers,
        ),
        dtype,
        seed=1,
    )
    with torch.device("meta"):
        ours = ConditionEncoder(config, nn)
    state = official_names(theirs.state_dict())
    own = {key: value for key, value in state.items() if key not in ("silence_latent", "null_condition_emb")}
    ours.load_state_dict(own, assign=True)
    return theirs, ours.requires_grad_(False)


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative difference."""
    return ((ours.float() - theirs.float()).norm() / theirs.float().norm()).item()
