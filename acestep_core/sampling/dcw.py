"""Wavelet correction of a step: pull the bands of the new state apart from those of the clean estimate."""

from dataclasses import dataclass

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..errors import InvalidInputError

MODES = ("low", "high", "double", "pix")


@dataclass(frozen=True, slots=True)
class WaveletCorrection:
    """One-level Haar correction along time in closed form (differential correction in the wavelet domain)."""

    mode: str = "double"
    scaler: float = 0.05
    high_scaler: float = 0.02

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidInputError(
                f"There is no wavelet correction {self.mode!r}.", f"Choose one of {', '.join(MODES)}."
            )

    def __call__(self, x: Tensor, clean: Tensor, t: float) -> Tensor:
        """x: [B, T, C] after the step that began at t, where the clean estimate was `clean` -> corrected x."""
        difference = (x - clean).float()
        if self.mode == "pix":
            return x + (self.scaler * difference).to(x.dtype)
        low, high = self.strengths(t)
        frames = x.shape[1]
        pairs = rearrange(F.pad(difference, (0, 0, 0, frames % 2)), "b (n two) c -> two b n c", two=2)
        mean, half = low * (pairs[0] + pairs[1]) / 2, high * (pairs[0] - pairs[1]) / 2
        update = rearrange([mean + half, mean - half], "two b n c -> b (n two) c")
        return x + update[:, :frames].to(x.dtype)

    def strengths(self, t: float) -> tuple[float, float]:
        """Strength of the low band, which fades as t falls, and of the high band, which grows."""
        return {
            "low": (t * self.scaler, 0.0),
            "high": (0.0, (1 - t) * self.scaler),
            "double": (t * self.scaler, (1 - t) * self.high_scaler),
        }[self.mode]
