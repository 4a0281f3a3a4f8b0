"""The key-value cache: what a planner keeps of the tokens that it has read, in room that is set aside once."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

from ..networks.layers import Rotary
from ..networks.qwen3 import Qwen3Sizes

ALIGNED = 64  # attention is fast over a multiple of so many tokens


class Rows(NamedTuple):
    """Rows that have read equally much."""

    cached: slice  # which rows of the cache
    new: slice  # which rows of the tokens at hand
    start: int  # tokens read before


class KeyValueCache:
    """Keys and values of one or two prompts and of what follows them, a row for each prompt and item.

    The rows of a prompt lie together and are equally long; another prompt's rows need not be, so nothing is padded.
    """

    def __init__(
        self,
        sizes: Qwen3Sizes,
        prompts: int,
        items: int,
        capacity: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        rows, capacity = prompts * items, -(-capacity // ALIGNED) * ALIGNED
        shape = (sizes.num_hidden_layers, rows, sizes.num_key_value_heads, capacity, sizes.head_dim)
        self.keys, self.values = (
            torch.zeros(shape, dtype=dtype, device=device) for _ in range(2)
        )  # zeros: what is masked is still multiplied
        self.tables = Rotary.of(capacity, sizes.head_dim, sizes.rope_theta, self.keys)
        self.items, self.capacity = items, capacity
        self.lengths = [0] * prompts

    def view_of_prompt(self, prompt: int, tokens: int) -> "EagerView":
        """For a prompt's tokens, which its first row reads for all of its items."""
        first = prompt * self.items
        return EagerView(self, [Rows(slice(first, first + 1), slice(0, 1), 0)], tokens)

    def share(self, prompt: int, tokens: int) -> None:
        """What the first row of a prompt has read becomes what all of its rows have read."""
        first, stop = prompt * self.items, (prompt + 1) * self.items
        for heads in (self.keys, self.values):
            heads[:, first + 1 : stop, :, :tokens] = heads[:, first : first + 1, :, :tokens]
        self.lengths[prompt] = tokens

    def view_of_next(self, tokens: int) -> "EagerView":
        """For the next tokens of every row."""
        if len(set(self.lengths)) == 1:
            every = slice(0, len(self.lengths) * self.items)
            return EagerView(self, [Rows(every, every, self.lengths[0])], tokens)
        slices = [slice(p * self.items, (p + 1) * self.items) for p in range(len(self.lengths))]
        groups = [Rows(rows, rows, start) for rows, start in zip(slices, self.lengths, strict=True)]
        return EagerView(self, groups, tokens)

    def advance(self, tokens: int) -> None:
        """So many tokens were read by every row."""
        self.lengths = [length + tokens for length in self.lengths]

    def rotary(self, positions: Tensor) -> Rotary:
        """Tables [R, N, 1, D] for positions [R, N]."""
        return Rotary(self.tables.cos[positions], self.tables.sin[positions])


class EagerView:
    """Any number of new tokens per row.

    The cache is cut to the tokens that are in it, so shapes grow from step to step and nothing has to be masked.
    """

    def __init__(self, cache: KeyValueCache, groups: list[Rows], tokens: int) -> None:
        self._cache, self._groups, self._tokens = cache, groups, tokens
        new = torch.arange(tokens, device=cache.keys.device)  # nothing is sent to the device
        positions = [(new + rows.start).expand(rows.new.stop - rows.new.start, -1) for rows in groups]
        self.rotary = cache.rotary(torch.cat(positions))

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store keys and values [R, N, G, D] of a layer, then attention of queries [R, N, H, D] over all so far."""
        out = []
        for rows in self._groups:
            stop = rows.start + self._tokens
            keys, values = (heads[layer, rows.cached] for heads in (self._cache.keys, self._cache.values))
            keys[:, :, rows.start : stop] = rearrange(k[rows.new], "r n g d -> r g n d")
            values[:, :, rows.start : stop] = rearrange(v[rows.new], "r n g d -> r g n d")
            out.append(causal(q[rows.new], keys[:, :, :stop], values[:, :, :stop]))
        return out[0] if len(out) == 1 else torch.cat(out)


class StaticView:
    """One new token per row at positions that are tensors: the same operators on the same tensors at every step.

    Attention goes over the first `reach` tokens of the cache, those after a row's position masked: shapes never change
    and no value is read on the host, which is what a CUDA graph needs to be replayed.
    """

    def __init__(self, cache: KeyValueCache, positions: Tensor, reach: int) -> None:
        """positions: [R], each below `reach`."""
        self._cache, self._positions, self._reach = cache, positions, reach
        self._rows = torch.arange(len(positions), device=positions.device)
        hidden = torch.arange(reach, device=positions.device) > positions[:, None]
        bias = torch.zeros(hidden.shape, dtype=cache.keys.dtype, device=positions.device)
        self._bias = bias.masked_fill_(hidden, float("-inf"))[:, None, None]
        self.rotary = cache.rotary(positions[:, None])

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store keys and values [R, 1, G, D] of a layer, then attention of queries [R, 1, H, D] over all so far."""
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        keys[self._rows, :, self._positions] = k[:, 0]
        values[self._rows, :, self._positions] = v[:, 0]
        return grouped(q, keys[:, :, : self._reach], values[:, :, : self._reach], self._bias)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Queries are the last of the tokens. q: [R, N, H, D]; k, v: [R, G, M, D] -> [R, N, H, D]."""
    tokens, seen = q.shape[1], k.shape[2]
    if tokens == 1:
        return grouped(q, k, v, None)
    if tokens < seen:
        after = torch.ones(tokens, seen, dtype=torch.bool, device=q.device).triu_(seen - tokens + 1)
        bias = torch.zeros(after.shape, dtype=q.dtype, device=q.device).masked_fill_(after, float("-inf"))
        return grouped(q, k, v, bias)
    shared = q.shape[2] // k.shape[1]
    k, v = (repeat(heads, "r g m d -> r (g s) m d", s=shared) for heads in (k, v))
    out = F.scaled_dot_product_attention(rearrange(q, "r n h d -> r h n d"), k, v, is_causal=True)
    return rearrange(out, "r h n d -> r n h d")


def grouped(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Query heads that share a key head become queries of that head, so that it is read once.

    q: [R, N, H, D]; k, v: [R, G, M, D]; bias: [..., N, M] -> [R, N, H, D].
    """
    tokens, groups = q.shape[1], k.shape[1]
    shared = q.shape[2] // groups
    q = rearrange(q, "r n (g s) d -> r g (n s) d", g=groups)
    if bias is not None and tokens > 1:
        bias = repeat(bias, "... n m -> ... (n s) m", s=shared)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return rearrange(out, "r g (n s) d -> r n (g s) d", n=tokens)
