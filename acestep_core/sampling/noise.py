"""Starting noise, drawn per song on the CPU so that it is the same on every device and in every batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..seeds import generator_of


@dataclass(frozen=True, slots=True)
class NoisePlan:
    """Which noise each song of a batch starts from."""

    seeds: tuple[int, ...]
    retake_seeds: tuple[int, ...] | None = None
    variation: float = (
        0.0  # 0: the seeds' own noise, 1: that of the retake seeds, between: a mix on the sphere
    )

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InvalidInputError("There is no seed.", "Give one seed per song.")
        if not 0.0 <= self.variation <= 1.0:
            raise InvalidInputError(f"The variation is {self.variation:g}.", "Set it between 0 and 1.")
        if self.retake_seeds is not None and len(self.retake_seeds) != len(self.seeds):
            raise InvalidInputError(
                f"{len(self.seeds)} songs have {len(self.retake_seeds)} retake seeds.",
                "Give one retake seed per song.",
            )

    @classmethod
    def counting(cls, seed: int, songs: int, batch_index: Sequence[int] | None = None) -> "NoisePlan":
        """Song i gets `seed + i`, or `seed + batch_index[i]` when the songs were picked from a larger batch."""
        numbers = range(songs) if batch_index is None else batch_index
        return cls(tuple(seed + number for number in numbers))

    def start(self, frames: int, channels: int) -> "NoiseStream":
        """Draw the noise of a run."""
        return NoiseStream(self, frames, channels)


class NoiseStream:
    """The noise of one run: the start, and fresh noise for the steps of a stochastic solver."""

    def __init__(self, plan: NoisePlan, frames: int, channels: int) -> None:
        self._shape = (frames, channels)
        self._generators = [generator_of(seed) for seed in plan.seeds]
        self.initial = self.fresh()  # fp32 [B, T, C] on the CPU
        if plan.retake_seeds is not None:
            retake = torch.stack(
                [torch.randn(self._shape, generator=generator_of(seed)) for seed in plan.retake_seeds]
            )
            self.initial = on_sphere(self.initial, retake, plan.variation)

    def fresh(self) -> Tensor:
        """The next [B, T, C] of every song's own generator."""
        return torch.stack([torch.randn(self._shape, generator=generator) for generator in self._generators])


def on_sphere(first: Tensor, second: Tensor, amount: float) -> Tensor:
    """From `first` (0) to `second` (1) on a quarter circle, which keeps unit variance."""
    if amount == 0.0:
        return first
    if amount == 1.0:
        return second
    angle = amount * math.pi / 2
    return math.cos(angle) * first + math.sin(angle) * second
