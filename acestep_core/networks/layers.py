"""The small parts that every network here is made of."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIMESTEP_CHANNELS = 256  # width of the sinusoidal timestep embedding
TIMESTEP_SCALE = 1000.0  # t = 1 is shown to the network as 1000
TIMESTEP_MAX_PERIOD = 10_000.0


class LayerOps(Protocol):
    """Where weight-carrying layers come from: `torch.nn`, or a host's casting versions."""

    Linear: type[nn.Linear]
    Conv1d: type[nn.Conv1d]
    ConvTranspose1d: type[nn.ConvTranspose1d]
    RMSNorm: type[nn.RMSNorm]
    Embedding: type[nn.Embedding]


class AdaLN(NamedTuple):
    """Shift, scale and gate that a timestep gives to one sub-layer."""

    shift: Tensor
    scale: Tensor
    gate: Tensor

    def apply(self, normed: Tensor) -> Tensor:
        """Scale and shift a normalised [B, N, D]; `scale` already holds the 1 it is added to."""
        return torch.addcmul(self.shift, normed, self.scale)


class SwiGLU(nn.Module):
    """The gated MLP of every layer."""

    def __init__(self, width: int, mlp_width: int, ops: LayerOps) -> None:
        super().__init__()
        self.gate_proj = ops.Linear(width, mlp_width, bias=False)
        self.up_proj = ops.Linear(width, mlp_width, bias=False)
        self.down_proj = ops.Linear(mlp_width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, N, D] -> [B, N, D]."""
        gate, up = self.gated(x)
        return self.down_proj(F.silu(gate) * up)

    def gated(self, x: Tensor) -> tuple[Tensor, ...]:
        """The gate and what it lets through, [B, N, M] each."""
        return self.gate_proj(x), self.up_proj(x)


class Rotary(NamedTuple):
    """Rotary position tables [N, 1, D]; the first half of `sin` is negated, so that a roll does the rotation."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, positions: int, head_dim: int, theta: float, like: Tensor) -> "Rotary":
        """Tables for positions 0, 1, ... computed in fp32, in the dtype and on the device of `like`."""
        frequency = theta ** (
            -torch.arange(0, head_dim, 2, device=like.device, dtype=torch.float32) / head_dim
        )
        angle = torch.outer(torch.arange(positions, device=like.device, dtype=torch.float32), frequency)
        cos, sin = angle.cos(), angle.sin()
        return cls(
            torch.cat((cos, cos), -1)[:, None].to(like.dtype),
            torch.cat((-sin, sin), -1)[:, None].to(like.dtype),
        )

    def split(self, lengths: Sequence[int]) -> list["Rotary"]:
        """The tables of pieces that follow one another."""
        parts = (table.split(lengths) for table in self)
        return [Rotary(*pair) for pair in zip(*parts, strict=True)]

    def turn(self, x: Tensor) -> Tensor:
        """Rotate [B, N, H, D]; first half against second half, as Qwen3 does."""
        return torch.addcmul(x * self.cos, x.roll(x.shape[-1] // 2, -1), self.sin)


class TimestepEmbedding(nn.Module):
    """One time value -> the embedding of the output layer and the six rows that modulate every block."""

    def __init__(self, width: int, ops: LayerOps) -> None:
        super().__init__()
        self.linear_1 = ops.Linear(TIMESTEP_CHANNELS, width)
        self.linear_2 = ops.Linear(width, width)
        self.time_proj = ops.Linear(width, 6 * width)

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """t: [S] in the model's dtype -> ([S, D], [S, 6, D])."""
        embedding = self.linear_2(F.silu(self.linear_1(sinusoid(t))))
        rows = self.time_proj(F.silu(embedding))
        return embedding, rows.unflatten(-1, (6, -1))


def sinusoid(t: Tensor) -> Tensor:
    """t: [S] -> [S, 256], cosines first. `t * 1000` is rounded to t's own dtype, as in training."""
    half = TIMESTEP_CHANNELS // 2
    index = torch.arange(half, device=t.device, dtype=torch.float32)
    frequency = torch.exp(
        -math.log(TIMESTEP_MAX_PERIOD) * index / half
    )  # in this order: 1000 * t magnifies its rounding
    angle = (t * TIMESTEP_SCALE).float()[:, None] * frequency
    return torch.cat((angle.cos(), angle.sin()), -1).to(t.dtype)
