"""Grouped-query attention, with the sliding window computed block by block instead of behind a dense mask."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from .config import StackConfig
from .layers import LayerOps, Rotary


class KeyValue(NamedTuple):
    """Heads that queries look at: [B, G, M, D] each, and an additive [B, 1, 1, M] bias that hides padding."""

    key: Tensor
    value: Tensor
    bias: Tensor | None = None


class Window(NamedTuple):
    """The rule |i - j| <= reach for queries in blocks of `reach`, each seeing its own and both neighbour blocks."""

    reach: int
    bias: Tensor  # [blocks, 1, reach, 3 * reach] additive: 0 where a key is seen

    @classmethod
    def of(cls, tokens: int, reach: int, like: Tensor) -> "Window":
        """The window over so many tokens, in the dtype and on the device of `like`."""
        blocks = -(-tokens // reach)
        first = torch.arange(blocks, device=like.device)[:, None, None] * reach
        query = first + torch.arange(reach, device=like.device)[:, None]
        key = first - reach + torch.arange(3 * reach, device=like.device)
        seen = ((query - key).abs() <= reach) & (key >= 0) & (key < tokens)
        bias = torch.zeros(seen.shape, dtype=like.dtype, device=like.device)
        return cls(reach, bias.masked_fill_(~seen, torch.finfo(like.dtype).min)[:, None])


class Positions(NamedTuple):
    """What self-attention knows of places: rotary tables, and the window unless everything is within reach."""

    rotary: Rotary
    window: Window | None

    @classmethod
    def of(cls, tokens: int, stack: StackConfig, like: Tensor) -> "Positions":
        """For a sequence of so many tokens, in the dtype and on the device of `like`."""
        rotary = Rotary.of(tokens, stack.head_dim, stack.theta, like)
        if stack.window is None or tokens <= stack.window + 1:
            return cls(rotary, None)
        return cls(rotary, Window.of(tokens, stack.window, like))

    def everywhere(self) -> "Positions":
        """The same places for a layer that sees all tokens."""
        return self._replace(window=None)

    def for_layer(self, index: int) -> "Positions":
        """Encoder stacks slide in even layers and see everything in odd ones."""
        return self if index % 2 == 0 else self.everywhere()


class Attention(nn.Module):
    """Queries, keys and values with normalised heads; several query heads share one key head."""

    def __init__(self, stack: StackConfig, ops: LayerOps) -> None:
        super().__init__()
        self.head_dim = stack.head_dim
        self.q_proj = ops.Linear(stack.width, stack.heads * stack.head_dim, bias=False)
        self.k_proj = ops.Linear(stack.width, stack.kv_heads * stack.head_dim, bias=False)
        self.v_proj = ops.Linear(stack.width, stack.kv_heads * stack.head_dim, bias=False)
        self.o_proj = ops.Linear(stack.heads * stack.head_dim, stack.width, bias=False)
        self.q_norm = ops.RMSNorm(stack.head_dim, eps=stack.eps)
        self.k_norm = ops.RMSNorm(stack.head_dim, eps=stack.eps)

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """Self-attention. x: [B, N, W] -> [B, N, W]."""
        q = positions.rotary.turn(self.q_norm(self._heads(self.q_proj(x))))
        k = positions.rotary.turn(self.k_norm(self._heads(self.k_proj(x))))
        v = self._heads(self.v_proj(x))
        out = everywhere(q, k, v) if positions.window is None else within(positions.window, q, k, v)
        return self.o_proj(rearrange(out, "b n h d -> b n (h d)"))

    def remember(self, context: Tensor, bias: Tensor | None = None) -> KeyValue:
        """The keys and values of a context [B, M, W] that many queries will look at."""
        key = rearrange(self.k_norm(self._heads(self.k_proj(context))), "b m g d -> b g m d")
        value = rearrange(self._heads(self.v_proj(context)), "b m g d -> b g m d")
        return KeyValue(key.contiguous(), value.contiguous(), bias)

    def look_at(self, memory: KeyValue, x: Tensor) -> Tensor:
        """Cross-attention. x: [B, N, W] -> [B, N, W]; a memory of one song serves a whole batch."""
        q = rearrange(self.q_norm(self._heads(self.q_proj(x))), "b n h d -> b h n d")
        key, value = (heads.expand(len(q), -1, -1, -1) for heads in (memory.key, memory.value))
        out = attend(q, key, value, memory.bias)
        return self.o_proj(rearrange(out, "b h n d -> b n (h d)"))

    def constant(self, row: Tensor) -> Tensor:
        """What any query gets from a context that repeats one row [1, W]: all weights are equal, so its value."""
        value = self._heads(self.v_proj(row))
        groups = self.q_proj.out_features // self.v_proj.out_features
        return self.o_proj(repeat(value, "n g d -> n (g r d)", r=groups))

    def _heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "... (h d) -> ... h d", d=self.head_dim)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """q: [B, H, N, D]; k, v: [B, G, M, D], H a multiple of G; bias broadcasts to [B, H, N, M]."""
    if bias is None and q.device.type == "cpu":
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    # Not every card has a kernel for unequal heads; without one, the scores fill its memory.
    shared = q.shape[1] // k.shape[1]
    k, v = (repeat(heads, "b g m d -> b (g r) m d", r=shared) for heads in (k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def everywhere(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Every token sees every token. q: [B, N, H, D]; k, v: [B, N, G, D] -> [B, N, H, D]."""
    out = attend(*(rearrange(heads, "b n h d -> b h n d") for heads in (q, k, v)))
    return rearrange(out, "b h n d -> b n h d")


def within(window: Window, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Every token sees its window. q: [B, N, H, D]; k, v: [B, N, G, D] -> [B, N, H, D]."""
    batch, tokens = q.shape[:2]
    reach, blocks = window.reach, window.bias.shape[0]
    rest = blocks * reach - tokens
    q = rearrange(F.pad(q, (0, 0, 0, 0, 0, rest)), "b (n w) h d -> (b n) h w d", w=reach)
    k, v = (
        rearrange(
            F.pad(heads, (0, 0, 0, 0, reach, rest + reach)).unfold(1, 3 * reach, reach),
            "b n g d s -> (b n) g s d",
        )
        for heads in (k, v)
    )
    bias = repeat(window.bias, "n 1 w s -> (b n) 1 w s", b=batch)
    out = rearrange(attend(q, k, v, bias), "(b n) h w d -> b (n w) h d", b=batch)
    return out[:, :tokens]
