"""Weights of one byte each: on a processor a planner is as fast as its weights are read."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.layers import SwiGLU
from .network import CausalAttention, Head, PlannerLayer, PlannerNetwork

MOST = 127
FINE = 63  # steps to either side: a processor without VNNI adds two products of bytes in 16 bits, and more would not fit
TWICE = 2 * FINE  # what is left of a step, in steps
# Rows of tokens up to which torch's product of bytes is quicker than to write the weights that they stand for: fewer where
# a processor multiplies bf16.
FEW, FEW_OF_HALF = 32, 8
WIDTH = 32  # of which that product wants multiples
MOST_THREADS = 4  # at work on layers, each of which is there in fp32 meanwhile


class Int8Linear(nn.Module):
    """Linear layers of the same input as one: their rows are bytes, each row with a scale of its own.

    Packed bytes are no tensor: where they are, `weight` stands for them, so that whoever counts weights counts them, and takes
    no memory. They cannot be loaded from a state, or moved to a card.
    """

    def __init__(self, *weights: Tensor) -> None:
        """weights: [O, I] each; they are rounded."""
        super().__init__()
        rows, scale = (torch.cat(parts) for parts in zip(*map(in_bytes, weights), strict=True))
        self.packed = packed(rows, scale) if packs() else None
        told = rows if self.packed is None else rows.new_zeros(1, 1).expand_as(rows)
        self.weight = nn.Parameter(told, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., I] -> [..., O]."""
        flat = x.flatten(0, -2)
        few = len(flat) <= (FEW if x.dtype == torch.float32 else FEW_OF_HALF)
        if self.packed is not None:
            out = precise(flat, self.packed)
        elif few and all(side % WIDTH == 0 for side in self.weight.shape):
            out = quick(flat, self.weight, self.scale)
        else:
            out = plain(flat, self.weight, self.scale)
        return out.view(*x.shape[:-1], -1)


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


@cache
def packs() -> bool:
    """Whether this torch has FBGEMM's product of bytes for this processor."""
    rows, scale = torch.tensor([[1, -2]], dtype=torch.int8), torch.tensor([0.5])
    with warnings.catch_warnings():  # torch says once that it will drop this some day
        warnings.filterwarnings("ignore", message=".*quantized tensor creation.*")
        try:
            return precise(torch.tensor([[3.0, 1.0]]), packed(rows, scale)).item() == 0.5
        except (AttributeError, NotImplementedError, RuntimeError):
            return False


def packed(rows: Tensor, scale: Tensor) -> Any:
    """Bytes [O, I] in the order in which FBGEMM reads them: nothing else of them is kept."""
    exact = rows.float() * scale[:, None].float()  # torch has no public way to say that these bytes are steps
    middle = torch.zeros(len(rows), dtype=torch.long)
    marked = torch.quantize_per_channel(exact, scale.double(), middle, 0, torch.qint8)
    return torch.ops.quantized.linear_prepack(marked, None)


def precise(x: Tensor, packed: Any) -> Tensor:
    """The product [N, O] with packed weights, for any number of tokens.

    FBGEMM multiplies bytes by bytes. A row of x is therefore written as whole steps and, in a row of its own, as what
    those leave over, in steps so much smaller: together 13 bits, while the weights, which take the time, are read once.
    """
    flat = x.float()
    step = flat.abs().amax(-1, keepdim=True).clamp_min_(torch.finfo(torch.float32).tiny).div_(FINE)
    exact = flat / step
    whole = exact.round()
    both = torch.cat((whole, exact.sub_(whole).mul_(TWICE)))
    out = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(both, 1.0, FINE + 1, packed)
    whole, rest = out.chunk(2)
    return whole.add_(rest, alpha=1 / TWICE).mul_(step).to(x.dtype)


class Int8Attention(CausalAttention):
    """Attention whose matrices are bytes."""

    def __init__(self, part: CausalAttention) -> None:
        nn.Module.__init__(self)
        self.head_dim, self.queries_per_key = part.head_dim, part.queries_per_key
        inputs = (part.q_proj.weight, part.k_proj.weight, part.v_proj.weight)
        self.qkv, self.o_proj = Int8Linear(*inputs), Int8Linear(part.o_proj.weight)
        self.widths = [len(weight) for weight in inputs]
        self.q_norm, self.k_norm = part.q_norm, part.k_norm

    def projected(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of x, from one product."""
        return self.qkv(x).split(self.widths, -1)


class Int8SwiGLU(SwiGLU):
    """A gated MLP whose matrices are bytes."""

    def __init__(self, part: SwiGLU) -> None:
        nn.Module.__init__(self)
        self.gate_up = Int8Linear(part.gate_proj.weight, part.up_proj.weight)
        self.down_proj = Int8Linear(part.down_proj.weight)

    def gated(self, x: Tensor) -> tuple[Tensor, ...]:
        """Gate and what passes it, from one product."""
        return self.gate_up(x).chunk(2, -1)


class Int8Planner(PlannerNetwork):
    """A planner with the matrices of its layers, and the output rows of its codes, in bytes."""

    def __init__(self, network: PlannerNetwork) -> None:
        """network: whose parts it takes over; its table stays as it is, for its rows are looked up one by one."""
        nn.Module.__init__(self)
        self.sizes, self.embed_tokens, self.lm_head = network.sizes, network.embed_tokens, network.lm_head
        self.layers, self.norm = network.layers, network.norm
        self.shapes = {key: tuple(weight.shape) for key, weight in network.state_dict().items()}
        # Kept, for to round the rows of all codes takes as long as some tokens.
        self._heads: dict[tuple[int, int], Int8Linear] = {}
        packs()  # asked once, before several threads do
        # Packing keeps one processor busy.
        with ThreadPoolExecutor(min(MOST_THREADS, torch.get_num_threads())) as pool:
            list(pool.map(into_bytes, self.layers))

    def head(self, tokens: slice, device: torch.device, dtype: torch.dtype) -> Head:
        """One for few tokens is left as precise as it is."""
        if tokens.stop - tokens.start < WIDTH:
            return super().head(tokens, device, dtype)
        place = tokens.start, tokens.stop
        if place not in self._heads:
            self._heads[place] = Int8Linear(self.table[tokens])
        return self._heads[place].to(device)


@torch.no_grad()
def into_bytes(layer: PlannerLayer) -> None:
    """Rounds a layer where it stands."""
    layer.self_attn, layer.mlp = Int8Attention(layer.self_attn), Int8SwiGLU(layer.mlp)
