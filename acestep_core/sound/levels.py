"""Loudness of a finished song: level rules and fades. Nothing here writes into what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ..errors import InvalidAudioError
from ..timebase import SAMPLE_RATE, require_seconds

SILENT_PEAK = 1e-6  # sound that stays below it counts as silence
PEAK_TARGET = 10 ** (-1 / 20)  # -1 dBFS
COMFYUI_DEVIATIONS = 5.0  # ComfyUI brings this many standard deviations within full scale


@dataclass(frozen=True, slots=True)
class Level:
    """A rule for the loudness of each item of a batch."""

    name: str
    gain: Callable[[Tensor], Tensor]  # [B, C, S] -> [B, 1, 1]

    def apply(self, samples: Tensor) -> Tensor:
        """samples: [B, C, S] -> the same shape, every item by its own gain."""
        require_sound(samples, "The song")
        return samples * self.gain(samples)


def peak_of(samples: Tensor) -> Tensor:
    """Largest magnitude of each item: [B, C, S] -> [B, 1, 1]."""
    return torch.maximum(samples.amax((-2, -1), keepdim=True), -samples.amin((-2, -1), keepdim=True))


def gain_to_peak(samples: Tensor) -> Tensor:
    """The official rule. Its first step, dividing by a peak above 1, does not show in the result."""
    peak = peak_of(samples)
    return torch.where(peak < SILENT_PEAK, 1.0, PEAK_TARGET / peak.clamp_min(SILENT_PEAK))


def gain_of_comfyui(samples: Tensor) -> Tensor:
    """ComfyUI's rule: quieter until five standard deviations fit, never louder."""
    freedom = min(1, samples[0].numel() - 1)  # the deviation of one single sample is 0, not undefined
    deviation = samples.std((-2, -1), correction=freedom, keepdim=True)
    return 1 / (COMFYUI_DEVIATIONS * deviation).clamp_min(1.0)


def gain_into_full_scale(samples: Tensor) -> Tensor:
    """Quieter by the peak where that exceeds 1."""
    return 1 / peak_of(samples).clamp_min(1.0)


def unchanged(samples: Tensor) -> Tensor:
    """As it is."""
    return samples.new_ones(samples.shape[0], 1, 1)


PEAK = Level("peak -1 dBFS", gain_to_peak)
NONE = Level("none", unchanged)
COMFYUI = Level("ComfyUI", gain_of_comfyui)
LEVELS: Mapping[str, Level] = MappingProxyType({level.name: level for level in (PEAK, NONE, COMFYUI)})

# What keeps integer formats from clipping when no level is asked for: only items that exceed 1 change.
FULL_SCALE = Level("full scale", gain_into_full_scale)


def fade(samples: Tensor, seconds_in: float, seconds_out: float, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Linear ramps from and to zero at the ends of [B, C, S]; one longer than the song spans the whole song."""
    for seconds in (seconds_in, seconds_out):
        require_seconds(seconds, "A fade")
    length = samples.shape[-1]
    rising = min(int(seconds_in * sample_rate), length)
    falling = min(int(seconds_out * sample_rate), length)

    faded = samples.clone()
    faded[..., :rising] *= torch.linspace(0, 1, rising, device=samples.device, dtype=samples.dtype)
    faded[..., length - falling :] *= torch.linspace(
        1, 0, falling, device=samples.device, dtype=samples.dtype
    )
    return faded


def require_sound(samples: Tensor, subject: str) -> None:
    """Refuse [..., S] samples that are none at all, or not numbers."""
    if samples.numel() == 0:
        raise InvalidAudioError(f"{subject} holds no samples.", "Choose a sound that is not empty.")
    broken = int((~torch.isfinite(samples)).sum())
    if broken:
        raise InvalidAudioError(
            f"{subject} holds {broken} samples that are NaN or infinite.",
            "Run the step that made it again, in fp32 or bf16 if it ran in fp16.",
        )
