"""The 5 Hz language model: a causal Qwen3 that plans a song in words and writes its audio codes."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..networks.attention import Attention
from ..networks.config import StackConfig
from ..networks.layers import LayerOps, Rotary, SwiGLU
from ..networks.qwen3 import Qwen3Sizes, stack_of

Head = Callable[[Tensor], Tensor]  # hidden states [..., W] -> logits of some tokens [..., V]


class CacheView(Protocol):
    """The key-value cache as the tokens at hand see it: their positions, and everything before them."""

    @property
    def rotary(self) -> Rotary:
        """Tables for the tokens at hand, in the dtype and on the device to compute in."""
        ...

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store keys and values [R, N, G, D] of a layer, then attention of queries [R, N, H, D] over all so far."""
        ...


class CausalAttention(Attention):
    """Attention of new tokens over themselves and everything before them."""

    def attend_cached(self, x: Tensor, view: CacheView, layer: int) -> Tensor:
        """x: [R, N, W] -> [R, N, W]."""
        q, k, v = map(self._heads, self.projected(x))
        q, k = view.rotary.turn(self.q_norm(q)), view.rotary.turn(self.k_norm(k))
        out = view.attend(layer, q, k, v)
        return self.o_proj(rearrange(out, "r n h d -> r n (h d)"))

    def projected(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of x [R, N, W], each with its heads side by side."""
        return self.q_proj(x), self.k_proj(x), self.v_proj(x)


class PlannerLayer(nn.Module):
    """Attention and MLP, each on the normalised stream."""

    def __init__(self, stack: StackConfig, ops: LayerOps) -> None:
        super().__init__()
        self.input_layernorm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.self_attn = CausalAttention(stack, ops)
        self.post_attention_layernorm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.mlp = SwiGLU(stack.width, stack.mlp_width, ops)

    def forward(self, x: Tensor, view: CacheView, layer: int) -> Tensor:
        """x: [R, N, W] -> [R, N, W]."""
        x = x + self.self_attn.attend_cached(self.input_layernorm(x), view, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class PlannerNetwork(nn.Module):
    """Token ids to hidden states; logits are made by those who know which tokens they want, from `rows`."""

    def __init__(self, sizes: Qwen3Sizes, ops: LayerOps, tied: bool = True) -> None:
        super().__init__()
        self.sizes = sizes
        stack = stack_of(sizes)
        self.embed_tokens = ops.Embedding(sizes.vocab_size, sizes.hidden_size)
        self.layers = nn.ModuleList(PlannerLayer(stack, ops) for _ in range(sizes.num_hidden_layers))
        self.norm = ops.RMSNorm(stack.width, eps=stack.eps)
        self.lm_head = None if tied else ops.Linear(sizes.hidden_size, sizes.vocab_size, bias=False)

    def forward(self, ids: Tensor, view: CacheView) -> Tensor:
        """ids: [R, N] -> hidden states [R, N, W]."""
        table = self.embed_tokens.weight
        x = table[ids.to(table.device)].to(view.rotary.cos)
        for index, layer in enumerate(self.layers):
            x = layer(x, view, index)
        return self.norm(x)

    @property
    def table(self) -> Tensor:
        """The output rows of all tokens [V, W], wherever they lie."""
        return (self.embed_tokens if self.lm_head is None else self.lm_head).weight

    def rows(self, tokens: slice | Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The output rows of some tokens [V, W]; cut before they are moved, for the table may lie elsewhere."""
        cut = self.table[tokens if isinstance(tokens, slice) else tokens.to(self.table.device)]
        return cut.to(device, dtype)

    def head(self, tokens: slice, device: torch.device, dtype: torch.dtype) -> Head:
        """What makes the logits of some tokens, on this device."""
        return partial(F.linear, weight=self.rows(tokens, device, dtype))
