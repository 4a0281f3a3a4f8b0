"""What a planner remembers of the tokens that it has read, in room that is set aside once."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

from ..networks.layers import Rotary
from ..networks.qwen3 import Qwen3Sizes

ALIGNED = 64  # attention is fast over a multiple of so many tokens


class Span(NamedTuple):
    """Rows that have read equally much."""

    rows: slice  # of the memory
    own: slice  # of the tokens at hand
    start: int  # tokens read before


class Memory:
    """Keys and values of one or two prompts and of what follows them, a row for each prompt and item.

    The rows of a prompt lie together and are equally long; another prompt's rows need not be, so nothing is padded.
    """

    def __init__(self, sizes: Qwen3Sizes, prompts: int, items: int, capacity: int, like: Tensor) -> None:
        rows, capacity = prompts * items, -(-capacity // ALIGNED) * ALIGNED
        shape = (sizes.num_hidden_layers, rows, sizes.num_key_value_heads, capacity, sizes.head_dim)
        self.keys, self.values = (
            torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in range(2)
        )  # zeros: what is masked is still multiplied
        self.tables = Rotary.of(capacity, sizes.head_dim, sizes.rope_theta, like)
        self.items, self.capacity = items, capacity
        self.lengths = [0] * prompts

    def of_prompt(self, prompt: int, tokens: int) -> "Passage":
        """Places of a prompt's tokens, which its first row reads for all of its items."""
        first = prompt * self.items
        return Passage(self, [Span(slice(first, first + 1), slice(0, 1), 0)], tokens)

    def share(self, prompt: int, tokens: int) -> None:
        """What the first row of a prompt has read becomes what all of its rows have read."""
        first, stop = prompt * self.items, (prompt + 1) * self.items
        for heads in (self.keys, self.values):
            heads[:, first + 1 : stop, :, :tokens] = heads[:, first : first + 1, :, :tokens]
        self.lengths[prompt] = tokens

    def following(self, tokens: int) -> "Passage":
        """Places of the next tokens of every row."""
        if len(set(self.lengths)) == 1:
            every = slice(0, len(self.lengths) * self.items)
            return Passage(self, [Span(every, every, self.lengths[0])], tokens)
        ranges = [slice(p * self.items, (p + 1) * self.items) for p in range(len(self.lengths))]
        spans = [Span(rows, rows, start) for rows, start in zip(ranges, self.lengths, strict=True)]
        return Passage(self, spans, tokens)

    def advance(self, tokens: int) -> None:
        """So many tokens were read by every row."""
        self.lengths = [length + tokens for length in self.lengths]

    def rotary(self, positions: Tensor) -> Rotary:
        """Tables [R, N, 1, D] for positions [R, N]."""
        return Rotary(self.tables.cos[positions], self.tables.sin[positions])


class Passage:
    """Any number of new tokens per row; attention goes over the filled part alone."""

    def __init__(self, memory: Memory, spans: list[Span], tokens: int) -> None:
        self._memory, self._spans, self._tokens = memory, spans, tokens
        new = torch.arange(tokens, device=memory.keys.device)  # nothing is sent to the device
        positions = [(new + span.start).expand(span.own.stop - span.own.start, -1) for span in spans]
        self.rotary = memory.rotary(torch.cat(positions))

    def look_back(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store keys and values [R, N, G, D] of a layer; what queries [R, N, H, D] make of all so far."""
        seen = []
        for span in self._spans:
            stop = span.start + self._tokens
            keys, values = (heads[layer, span.rows] for heads in (self._memory.keys, self._memory.values))
            keys[:, :, span.start : stop] = rearrange(k[span.own], "r n g d -> r g n d")
            values[:, :, span.start : stop] = rearrange(v[span.own], "r n g d -> r g n d")
            seen.append(causal(q[span.own], keys[:, :, :stop], values[:, :, :stop]))
        return seen[0] if len(seen) == 1 else torch.cat(seen)


class Slots:
    """One new token per row at positions that are tensors: the same operators on the same memory at every step.

    Attention goes over `reach` slots, of which those after a row's position are hidden. A captured graph replays it.
    """

    def __init__(self, memory: Memory, positions: Tensor, reach: int) -> None:
        """positions: [R], each below `reach`."""
        self._memory, self._positions, self._reach = memory, positions, reach
        self._rows = torch.arange(len(positions), device=positions.device)
        hidden = torch.arange(reach, device=positions.device) > positions[:, None]
        bias = torch.zeros(hidden.shape, dtype=memory.keys.dtype, device=positions.device)
        self._bias = bias.masked_fill_(hidden, float("-inf"))[:, None, None]
        self.rotary = memory.rotary(positions[:, None])

    def look_back(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store keys and values [R, 1, G, D] of a layer; what queries [R, 1, H, D] make of all so far."""
        keys, values = self._memory.keys[layer], self._memory.values[layer]
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
