"""Weights of one byte each: on a processor a planner is as fast as its weights are read."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .network import Head, PlannerNetwork

MOST = 127
# Rows of tokens up to which to multiply bytes is quicker than to write the weights that they stand for: fewer where a
# processor multiplies bf16. Measured on Zen 4; blocks of either are slower than the whole.
FEW, FEW_OF_HALF = 32, 8
WIDTH = 32  # of which the fast product wants multiples


class Int8Linear(nn.Module):
    """A linear layer whose rows are kept as bytes, each row with a scale of its own."""

    def __init__(self, weight: Tensor) -> None:
        """weight: [O, I]; it is rounded."""
        super().__init__()
        rows, scale = in_bytes(weight)
        self.weight = nn.Parameter(rows, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., I] -> [..., O]."""
        flat = x.reshape(-1, x.shape[-1])
        few = len(flat) <= (FEW if x.dtype == torch.float32 else FEW_OF_HALF)
        product = quick if few and all(side % WIDTH == 0 for side in self.weight.shape) else plain
        return product(flat, self.weight, self.scale).view(*x.shape[:-1], -1)


def in_bytes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Bytes [O, I] and scales [O]. A row that is not finite has a scale that is not."""
    exact = weight.float()  # fp8 knows no arithmetic
    scale = (exact.abs().amax(1) / MOST).clamp_min(torch.finfo(torch.bfloat16).tiny).bfloat16()
    return (exact / scale[:, None].float()).round_().clamp_(-MOST, MOST).to(torch.int8), scale


def plain(x: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
    """The product [N, O] with the weights that the bytes stand for."""
    return F.linear(x, rows.to(x.dtype)) * scale.to(x.dtype)


def quick(x: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
    """The same for a few tokens: the bytes are read once, and no weight is written."""
    return torch.ops.aten._weight_int8pack_mm(x.bfloat16(), rows, scale).to(x.dtype)


class Int8Planner(PlannerNetwork):
    """A planner with the matrices of its layers, and the output rows of its codes, in bytes."""

    @torch.no_grad()
    def __init__(self, network: PlannerNetwork) -> None:
        """network: whose parts it takes over; its table stays as it is, for its rows are looked up one by one."""
        nn.Module.__init__(self)
        self.sizes, self.embed_tokens, self.lm_head = network.sizes, network.embed_tokens, network.lm_head
        self.layers, self.norm = network.layers, network.norm
        self._heads: dict[
            tuple[int, int], Int8Linear
        ] = {}  # to round the rows of all codes takes as long as some tokens
        for layer in self.layers:
            for part in layer.children():
                for name, linear in list(part.named_children()):
                    if isinstance(linear, nn.Linear):
                        setattr(part, name, Int8Linear(linear.weight))

    def head(self, tokens: slice, device: torch.device, dtype: torch.dtype) -> Head:
        """One for few tokens is left as precise as it is."""
        if tokens.stop - tokens.start < WIDTH:
            return super().head(tokens, device, dtype)
        place = tokens.start, tokens.stop
        if place not in self._heads:
            self._heads[place] = Int8Linear(self.table[tokens])
        return self._heads[place].to(device)
