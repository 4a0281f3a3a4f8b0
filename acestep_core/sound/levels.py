"""Loudness of a finished song: level rules and fades. Nothing here writes into what it is given."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import InvalidAudioError
from ..timebase import SAMPLE_RATE, require_seconds
from .limiter import Limited, limited
from .loudness import integrated_lufs, true_peak

SILENT_PEAK = 1e-6  # sound that stays below it counts as silence
PEAK_TARGET = 10 ** (-1 / 20)  # -1 dBFS
COMFYUI_DEVIATIONS = 5.0  # ComfyUI brings this many standard deviations within full scale
CEILING = -1.0  # dBTP, for peaks of songs that are brought to a loudness
LOSSY_CEILING = -1.5  # where a decoder will not give the samples back as they were
MOST_LIMITED = 6.0  # dB that may be taken from a peak before one hears it
CORRECTIONS, CLOSE = 4, 0.05  # tries at a loudness, and LU at which it is reached


class Leveled(NamedTuple):
    """Songs at their level, and what is to be said of it."""

    samples: Tensor
    notes: tuple[str, ...] = ()


class Level(Protocol):
    """A rule for the loudness of each item of a batch."""

    @property
    def name(self) -> str:
        """As users choose it."""
        ...

    def leveled(self, samples: Tensor, rate: int = SAMPLE_RATE, ceiling: float = CEILING, /) -> Leveled:
        """Every item of [B, C, S] by its own rule; the ceiling is for the peaks, in dBTP."""
        ...


@dataclass(frozen=True, slots=True)
class GainLevel:
    """One gain for the whole of an item."""

    name: str
    gain: Callable[[Tensor], Tensor]  # [B, C, S] -> [B, 1, 1]

    def apply(self, samples: Tensor) -> Tensor:
        """samples: [B, C, S] -> the same shape, every item by its own gain."""
        require_sound(samples, "The song")
        return samples * self.gain(samples)

    def leveled(self, samples: Tensor, _rate: int = SAMPLE_RATE, _ceiling: float = CEILING) -> Leveled:
        """The same, in silence: peaks become whatever they do."""
        return Leveled(self.apply(samples))


@dataclass(frozen=True, slots=True)
class LoudnessLevel:
    """As loud as a broadcaster or a shop of music wants it, with a ceiling for peaks between samples."""

    name: str
    target: float  # LUFS

    def leveled(self, samples: Tensor, sample_rate: int = SAMPLE_RATE, ceiling: float = CEILING) -> Leveled:
        """One gain for each item, and peaks limited only where they are over the ceiling."""
        require_sound(samples, "The song")
        songs, notes = zip(
            *(
                self.one(f"Song {number}", song, sample_rate, ceiling)
                for number, song in enumerate(samples, 1)
            ),
            strict=True,
        )
        return Leveled(torch.stack(songs), notes)

    def one(self, who: str, song: Tensor, sample_rate: int, ceiling: float) -> tuple[Tensor, str]:
        """song: [C, S] -> the same at its loudness, and a sentence about it."""
        loudness = integrated_lufs(song, sample_rate)
        if loudness is None or loudness == -math.inf:
            why = "is silent" if loudness else "is shorter than 0.4 s"
            return song, f"{who} {why}, so it has no loudness and stays as it is."
        highest = 10 ** (ceiling / 20)
        most = ceiling + MOST_LIMITED - decibels(true_peak(song, sample_rate))
        loud, reduction = Limited(song, 0.0)
        gain, reached = 0.0, loudness
        for _ in range(CORRECTIONS):
            gain = min(gain + self.target - reached, most)
            loud, reduction = limited(song * 10 ** (gain / 20), sample_rate, highest)
            reached = integrated_lufs(loud, sample_rate) or -math.inf
            if abs(self.target - reached) < CLOSE or gain == most:
                break
        limits = said_of(reduction, gain == most and self.target - reached >= CLOSE)
        return loud, f"{who}: {reached:.1f} LUFS, peaks below {ceiling:g} dBTP{limits}."


def said_of(reduction: float, stopped: bool) -> str:
    """How much was limited, in words."""
    if reduction == 0:
        return ""
    return f"; {reduction:.1f} dB of peaks were limited" + (", more would be heard" if stopped else "")


def decibels(amplitude: float) -> float:
    """An amplitude relative to full scale; of nothing at all, -inf."""
    return 20 * math.log10(amplitude) if amplitude else -math.inf


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


PEAK = GainLevel("peak -1 dBFS", gain_to_peak)
NONE = GainLevel("none", unchanged)
COMFYUI = GainLevel("ComfyUI", gain_of_comfyui)
LOUDNESSES = tuple(LoudnessLevel(f"{target} LUFS", target) for target in (-14, -16, -23))
LEVELS: Mapping[str, Level] = MappingProxyType(
    {level.name: level for level in (PEAK, NONE, COMFYUI, *LOUDNESSES)}
)

# What keeps integer formats from clipping when no level is asked for: only items that exceed 1 change.
FULL_SCALE = GainLevel("full scale", gain_into_full_scale)


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
