"""The silence latent: what the VAE makes of zeros, which is far from zero itself."""

from dataclasses import dataclass

from einops import rearrange
from torch import Tensor


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
