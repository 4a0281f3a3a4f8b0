"""Latents, audio and masks of ComfyUI to tensors of the core and back; the only module that knows both layouts."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ...acestep_core.errors import InvalidInputError
from ...acestep_core.silence import Silence
from ...acestep_core.sound.audio_file import Sound, to_model_rate
from ...acestep_core.timebase import SAMPLE_RATE
from ..host.runtime import rest_device

log = logging.getLogger("acestep-graph")

# Beside latents and audio, for each song:
ADAPTERS = "acegraph_adapters"  # what it was played with, in words
TAKES = "acegraph_takes"  # tags that tell it from the others

Latent = dict[str, Any]  # {"samples": [B, 64, T], "type": "audio", ...}
Audio = dict[str, Any]  # {"waveform": [B, C, S], "sample_rate": int}


def latent_of(frames: Tensor) -> Latent:
    """Core latents [B, T, C] as a LATENT."""
    return {"samples": rearrange(frames, "b t c -> b c t").contiguous().to(rest_device()), "type": "audio"}


def frames_of_latent(latent: Latent, name: str, channels: int = 64) -> Tensor:
    """A LATENT as core latents [B, T, C] in fp32; refused when it is one of another model."""
    samples = latent["samples"]
    if samples.shape[1] != channels:
        raise InvalidInputError(
            f"The {name} has the shape {list(samples.shape)}; ACE-Step 1.5 latents are [songs, {channels}, frames].",
            "Connect a latent from Silence Latent, Oobleck Encode or Codes to Latent, not one of an image or another model.",
        )
    return rearrange(samples, "b c t -> b t c").float()


def source_of_latent(latent: Latent, name: str, silence: Silence) -> Tensor:
    """Like `frames_of_latent`; a song of zeros, as ComfyUI's empty latent has them, counts as silence."""
    frames = frames_of_latent(latent, name, silence.channels)
    empty = ~frames.any(2).any(1)
    if not empty.any():
        return frames
    log.info("The %s holds songs of zeros only, which count as silence.", name)
    return torch.where(empty[:, None, None], silence.frames(frames.shape[1]).to(frames), frames)


def mask_of_wire(mask: Tensor, frames: int, name: str = "mask") -> Tensor:
    """A MASK [B, 1, T] as the core's [B, T]; another length is refused.

    Also [B, T] and [T], and [B, 1, 1, T], which Set Latent Noise Mask makes.
    """
    if mask.shape[-1] != frames:
        raise InvalidInputError(
            f"The {name} has {mask.shape[-1]} frames, the latent {frames}.",
            "Make the mask with Chunk Mask from the same latent.",
        )
    flat = mask if mask.ndim > 1 else mask[None]
    return (flat.flatten(1, -2).amax(1) if flat.ndim > 2 else flat).float()


def mask_to_wire(mask: Tensor) -> Tensor:
    """The core's [B, T] as a MASK [B, 1, T]."""
    return rearrange(mask, "b t -> b 1 t").to(rest_device())


def sound_of_audio(audio: Audio) -> tuple[Tensor, tuple[str, ...]]:
    """An AUDIO as the model wants it: [B, 2, S] at 48 kHz, and what had to be converted for that."""
    model = to_model_rate(raw_sound(audio))
    return model.samples, model.changes


def raw_sound(audio: Audio) -> Sound:
    """An AUDIO as it is: [B, C, S] in fp32."""
    waveform = audio["waveform"]
    waveform = waveform if waveform.ndim == 3 else waveform[None]
    if not waveform.is_floating_point():
        waveform = waveform.float() / (torch.iinfo(waveform.dtype).max + 1)
    return Sound(waveform.float().cpu(), int(audio["sample_rate"]))


def noted(adapters: str, songs: int) -> dict[str, list[str]]:
    """What goes along with songs that a model with adapters has played."""
    return {ADAPTERS: [adapters] * songs} if adapters else {}


def adapters_of(wired: Latent | Audio, songs: int) -> list[str]:
    """The adapters of each song; of those that other nodes have joined on, nothing is known."""
    words = wired.get(ADAPTERS)
    known = [str(word) for word in words[:songs]] if isinstance(words, list) else []
    return known + [""] * (songs - len(known))


def noted_takes(seeds: Sequence[int], checkpoint: str, steps: int) -> dict[str, list[dict[str, str]]]:
    """What goes along with songs that a sampler has played: what it takes to play each again."""
    same = {"checkpoint": checkpoint, "steps": str(steps)}
    return {TAKES: [{"seed": str(seed), **same} for seed in seeds]}


def takes_of(wired: Latent | Audio, songs: int) -> list[dict[str, str]]:
    """What is known of each song; nothing of those that other nodes have joined on."""
    listed = wired.get(TAKES)
    known = [dict(take) for take in listed[:songs]] if isinstance(listed, list) else []
    return known + [{} for _ in range(songs - len(known))]


def carried(wired: Latent | Audio) -> dict[str, Any]:
    """What goes along when songs become something else."""
    return {key: wired[key] for key in (ADAPTERS, TAKES) if key in wired}


def audio_of(samples: Tensor, sample_rate: int = SAMPLE_RATE) -> Audio:
    """Core audio [B, C, S] as an AUDIO."""
    return {"waveform": samples.float().cpu().contiguous(), "sample_rate": sample_rate}
