"""Keeping what lies outside a repainted span: injection while sampling, a soft seam afterwards."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InvalidInputError

SEAM_FRAMES = 25  # longest crossfade of latents outside the span
SEAM_SECONDS = 0.05  # longest crossfade of samples inside the span


@dataclass(frozen=True, slots=True)
class RepaintStrength:
    """How freely the surroundings of a span may change: 0 = hardly (conservative), 1 = freely (aggressive)."""

    value: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.value <= 1.0:
            raise InvalidInputError(f"The repaint strength is {self.value:g}.", "Set it between 0 and 1.")

    @property
    def hold(self) -> float:
        """Share of the steps that put the surroundings back."""
        return 1.0 - self.value

    @property
    def seam_frames(self) -> int:
        """Latent frames of crossfade on each outer side of the span."""
        return round(SEAM_FRAMES * self.hold)

    @property
    def seam_seconds(self) -> float:
        """Seconds of crossfade for the waveform splice after decoding."""
        return SEAM_SECONDS * self.hold

    def held_steps(self, steps: int, frees_last: bool) -> int:
        """How many of the first steps are held; a turbo model's last step always runs free."""
        return min(round(self.hold * steps), steps - 1 if frees_last else steps)


@dataclass(frozen=True, slots=True)
class Injection:
    """After each of the first `steps` steps the surroundings are put back, as noisy as the new state."""

    steps: int
    outside: Tensor  # [B, T, 1] bool
    clean: Tensor  # [B, T, C] the raw source
    noise: Tensor  # [B, T, C] the noise that the run began with

    def __call__(self, x: Tensor, index: int, t_next: float) -> Tensor:
        """x: [B, T, C] after step `index`, at t_next."""
        if index >= self.steps:
            return x
        return torch.where(self.outside, t_next * self.noise + (1 - t_next) * self.clean, x)


def blend(new: Tensor, clean: Tensor, mask: Tensor, seam_frames: int) -> Tensor:
    """New latents inside the mask, the clean ones outside, with linear ramps of `seam_frames` outside each edge.

    new, clean: [B, T, C]; mask: [B, T] in [0, 1], whose own soft values count as well.
    """
    weight = torch.maximum(mask, ramps(mask > 0.5, seam_frames))[..., None].to(new)
    return weight * new + (1 - weight) * clean


def ramps(inside: Tensor, frames: int) -> Tensor:
    """[B, T] bool -> float: 1 inside, falling linearly over so many frames outside, then 0."""
    index = torch.arange(inside.shape[1], device=inside.device, dtype=torch.float32).expand(inside.shape)
    far = torch.full_like(index, torch.inf)
    since = index - torch.where(inside, index, -far).cummax(1).values
    until = torch.where(inside, index, far).flip(1).cummin(1).values.flip(1) - index
    return (1 - torch.minimum(since, until) / (frames + 1)).clamp(min=0)
