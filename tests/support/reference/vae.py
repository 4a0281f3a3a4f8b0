"""The VAE of diffusers (tests only) with random weights, and ours with the same weights."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

import torch
from torch import Tensor, nn

from acestep_core.checkpoints.oobleck_keys import fold
from acestep_core.networks.config import VaeConfig
from acestep_core.networks.oobleck import Oobleck

TINY = VaeConfig(
    audio_channels=2,
    encoder_hidden_size=16,
    downsampling_ratios=(2, 4, 4, 6, 10),
    channel_multiples=(1, 2, 2, 3, 4),
    decoder_channels=12,
    decoder_input_channels=8,
)
FULL = VaeConfig(
    audio_channels=2,
    encoder_hidden_size=128,
    downsampling_ratios=(2, 4, 4, 6, 10),
    channel_multiples=(1, 2, 4, 8, 16),
    decoder_channels=128,
    decoder_input_channels=64,
)


def reference(config: VaeConfig) -> nn.Module:
    """Diffusers' VAE of these sizes, as it initialises itself."""
    from diffusers import AutoencoderOobleck

    lists = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
    return AutoencoderOobleck(**lists, sampling_rate=48_000).train(False).requires_grad_(False)


def oobleck_of(
    raw: Mapping[str, Tensor], config: VaeConfig = TINY, dtype: torch.dtype | None = None
) -> Oobleck:
    """Our VAE with a checkpoint's weights."""
    with torch.device("meta"):
        vae = Oobleck(config)
    vae.load_state_dict(fold(raw, config, dtype), assign=True)
    return vae.requires_grad_(False)


def gain(name: str) -> float:
    """Lengths of the weights that keep a signal about as loud as it is."""
    if "conv_t1" in name:
        return 1.5
    return 0.5 if "res_unit" in name else 1.0


def randomise(theirs: nn.Module) -> nn.Module:
    """Fill diffusers' VAE: no length is its direction's norm, no Snake is like another."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in sorted(theirs.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("weight_g"):
            parameter.copy_(gain(name) * (1 + 0.1 * noise))
        elif name.endswith("weight_v"):
            parameter.copy_(0.3 * noise)
        else:
            parameter.copy_(0.2 * noise)
    return theirs


@cache
def vaes() -> tuple[nn.Module, Oobleck]:
    """Their tiny VAE and ours, same weights."""
    theirs = randomise(reference(TINY))
    return theirs, oobleck_of(theirs.state_dict())


def latents(frames: int, batch: int = 1, seed: int = 0) -> Tensor:
    """Random latents [B, T, 8]."""
    return torch.randn(batch, frames, 8, generator=torch.Generator().manual_seed(seed))


def sound(samples: int, batch: int = 1, seed: int = 0) -> Tensor:
    """Random audio [B, 2, S]."""
    return 0.3 * torch.randn(batch, 2, samples, generator=torch.Generator().manual_seed(seed))
