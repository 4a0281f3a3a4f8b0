"""The silence latent: what the VAE makes of zeros, which is far from zero itself."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Silence:
    """The silence that belongs to a checkpoint."""

    stored: Tensor  # [1, T0, D]

    @property
    def channels(self) -> int:
        """Latent channels of the checkpoint."""
        return self.stored.shape[-1]

    def frames(self, count: int) -> Tensor:
        """The first frames [1, count, D]; past the end of what is stored it begins again."""
        rounds = -(-count // self.stored.shape[1])
        return self.stored[:, :count] if rounds <= 1 else self.stored.repeat(1, rounds, 1)[:, :count]
