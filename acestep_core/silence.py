"""The silence latent: what the VAE makes of zeros, which is far from zero itself."""

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor

from .oobleck import Oobleck
from .timebase import MAX_SECONDS, frames_of, samples_of

PROBE_FRAMES = 64  # of zeros that are encoded to find the silence
EDGE_FRAMES = 8  # that feel the beginning of the song; the encoder reaches fewer frames back


@dataclass(frozen=True, slots=True)
class Silence:
    """The silence that belongs to a checkpoint."""

    stored: Tensor  # [1, T0, D]

    @classmethod
    def from_official(cls, tensor: Tensor) -> "Silence":
        """From the content of `silence_latent.pt`, which lies channels first: [1, D, T0]."""
        return cls(rearrange(tensor, "one d t -> one t d").contiguous())

    def frames(self, count: int) -> Tensor:
        """The first frames [1, count, D]; past the end of what is stored it begins again."""
        rounds = -(-count // self.stored.shape[1])
        return self.stored[:, :count] if rounds <= 1 else self.stored.repeat(1, rounds, 1)[:, :count]


def derive_silence(vae: Oobleck, frames: int = frames_of(MAX_SECONDS)) -> Silence:
    """The silence of a VAE that came without one: the edge of encoded zeros, then its steady frame for ever."""
    zeros = torch.zeros(1, vae.config.audio_channels, samples_of(PROBE_FRAMES))
    probe = vae.encode(zeros).mean
    steady = repeat(probe[:, PROBE_FRAMES // 2], "one d -> one t d", t=max(0, frames - EDGE_FRAMES))
    return Silence(torch.cat((probe[:, :EDGE_FRAMES], steady), 1)[:, :frames])
