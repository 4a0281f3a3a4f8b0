"""Grouped-query attention, with the sliding window computed block by block instead of behind a dense mask."""

from collections.abc import Iterator, Sequence
from functools import cache
from math import e, log2
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from .config import StackConfig
from .layers import LayerOps, Rotary

SCORES = 1 << 20  # that attention by products makes at a time: they stay in a processor's caches
SAMPLE = 8  # of so many keys, one is asked how large the scores of a row become
BEYOND = 1e7  # a sum of weights that says that the sample has missed by much
LOG2E = log2(e)  # exponentials of 2 come sooner than those of e
LITTLE = 1 << 24  # multiplications of scores, below which one kernel is as fast as ten operators


class KeyValue(NamedTuple):
    """Keys and values of a context: [B, G, M, D] each, and an additive [B, 1, 1, M] bias that hides padding."""

    key: Tensor
    value: Tensor
    bias: Tensor | None = None


class Heads(NamedTuple):
    """Of each token: its queries [B, N, H, D], its keys and its values [B, N, G, D]."""

    query: Tensor
    key: Tensor
    value: Tensor


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
    """What self-attention knows of positions: rotary tables, and the window unless everything is within reach."""

    rotary: Rotary
    window: Window | None

    @classmethod
    def of(cls, tokens: int, stack: StackConfig, like: Tensor) -> "Positions":
        """For a sequence of so many tokens, in the dtype and on the device of `like`."""
        rotary = Rotary.of(tokens, stack.head_dim, stack.theta, like)
        if stack.window is None or tokens <= stack.window + 1:
            return cls(rotary, None)
        return cls(rotary, Window.of(tokens, stack.window, like))

    def for_layer(self, slides: bool) -> "Positions":
        """The same for one layer: with the window if it slides, else without, so that it sees all tokens."""
        return self if slides else self._replace(window=None)


class Attention(nn.Module):
    """Queries, keys and values with normalised heads; several query heads share one key head."""

    def __init__(self, stack: StackConfig, ops: LayerOps) -> None:
        super().__init__()
        self.head_dim = stack.head_dim
        self.queries_per_key = stack.heads // stack.kv_heads
        self.q_proj = ops.Linear(stack.width, stack.heads * stack.head_dim, bias=False)
        self.k_proj = ops.Linear(stack.width, stack.kv_heads * stack.head_dim, bias=False)
        self.v_proj = ops.Linear(stack.width, stack.kv_heads * stack.head_dim, bias=False)
        self.o_proj = ops.Linear(stack.heads * stack.head_dim, stack.width, bias=False)
        self.q_norm = ops.RMSNorm(stack.head_dim, eps=stack.eps)
        self.k_norm = ops.RMSNorm(stack.head_dim, eps=stack.eps)

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """Self-attention. x: [B, N, W] -> [B, N, W]."""
        (seen,) = self_attention([self.heads(x, positions.rotary)], positions.window)
        return self.gathered(seen)

    def heads(self, x: Tensor, rotary: Rotary) -> Heads:
        """What the tokens [B, N, W] ask, offer and tell each other."""
        q = rotary.turn(self.q_norm(self._heads(self.q_proj(x))))
        k = rotary.turn(self.k_norm(self._heads(self.k_proj(x))))
        return Heads(q, k, self._heads(self.v_proj(x)))

    def gathered(self, seen: Tensor) -> Tensor:
        """What the heads of each token saw [B, N, H, D], as one: [B, N, W]."""
        # Where there are gaps between songs, torch would write the weight out for each of them.
        return self.o_proj(rearrange(seen, "b n h d -> b n (h d)").contiguous())

    def key_values(self, context: Tensor, bias: Tensor | None = None) -> KeyValue:
        """The keys and values of a context [B, M, W], to be computed once and attended to many times."""
        key = rearrange(self.k_norm(self._heads(self.k_proj(context))), "b m g d -> b g m d")
        value = rearrange(self._heads(self.v_proj(context)), "b m g d -> b g m d")
        return KeyValue(key.contiguous(), value.contiguous(), bias)

    def cross_attend(self, x: Tensor, context: KeyValue) -> Tensor:
        """Cross-attention. x: [B, N, W] -> [B, N, W]; the context of one song serves a whole batch."""
        q = rearrange(self.q_norm(self._heads(self.q_proj(x))), "b n h d -> b h n d")
        key, value = (heads.expand(len(q), -1, -1, -1) for heads in (context.key, context.value))
        out = attend(q, key, value, context.bias)
        return self.o_proj(rearrange(out, "b h n d -> b n (h d)"))

    def probabilities(self, x: Tensor, context: KeyValue, heads: Sequence[int]) -> Tensor:
        """Where some of the query heads look, in fp32: x [B, N, W] -> [B, heads, N, M]."""
        asked, keys = self._heads(self.q_proj(x)).unbind(2), context.key.unbind(1)
        q = torch.stack([asked[head] for head in heads], 1)
        key = torch.stack([keys[head // self.queries_per_key] for head in heads], 1)
        scores = self.q_norm(q).float() @ rearrange(key, "b h m d -> b h d m").float()
        scores = scores * self.head_dim**-0.5
        return (scores if context.bias is None else scores + context.bias.float()).softmax(-1)

    def constant_output(self, row: Tensor) -> Tensor:
        """What any query gets from a context that repeats one row [1, W]: all weights are equal, so its value."""
        value = self._heads(self.v_proj(row))
        return self.o_proj(repeat(value, "n g d -> n (g r d)", r=self.queries_per_key))

    def _heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "... (h d) -> ... h d", d=self.head_dim)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """q: [B, H, N, D]; k, v: [B, G, M, D], H a multiple of G; bias broadcasts to [B, H, N, M]."""
    if products_are_faster(q, k):
        return attend_by_products(q, k, v, bias)
    if has_grouped_kernel(q):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True)
    shared = q.shape[1] // k.shape[1]
    k, v = (repeat(heads, "b g m d -> b (g r) m d", r=shared) for heads in (k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def products_are_faster(q: Tensor, k: Tensor) -> bool:
    """Whether plain products attend faster than torch's kernel: in bf16, on a processor such as that below, if it is much."""
    fits = q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.numel() * k.shape[2] > LITTLE
    return fits and not q.requires_grad and torch.backends.mkldnn.enabled and has_instructions_alone()


@cache
def has_instructions_alone() -> bool:
    """Whether the processor has instructions for bf16 and no matrix units, without which torch's kernel makes fp32 of it."""
    instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # an older torch cannot tell
    units = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(instructions and units and instructions() and not units())


def attend_by_products(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """`attend` as plain products; bias: [B or 1, 1, N or 1, M] of the same dtype, and each query sees some key.

    A product of bf16 is rounded to bf16, and large scores with it. So the largest of each row is found first, or one near
    it, and taken away from all of them: inside of the product, where it is asked for by one more column that all keys
    have alike. What weighs is near 0 then, where rounding takes least.
    """
    songs, groups, keys = len(q), k.shape[1], k.shape[2]
    shared, scale = q.shape[1] // groups, q.shape[-1] ** -0.5 * LOG2E
    rows = rearrange(q, "b (g r) n d -> (b g) (n r) d", g=groups)
    key, value = (rearrange(heads, "b g m d -> (b g) m d").contiguous() for heads in (k, v))
    few, alike = key[:, ::SAMPLE].contiguous(), F.pad(key, (0, 1), value=1.0)

    seen = rows.new_empty(rows.shape)
    for own, part in portions(len(rows), q.shape[2], shared * keys):
        asked = rows[own, shared * part.start : shared * part.stop]
        hides = (
            None if bias is None else hidden(bias, torch.arange(songs * groups)[own] // groups, part, shared)
        )
        for sample, every in (few, SAMPLE), (key, 1):
            found = scores(asked, sample[own], scale, hides, every)
            less = torch.cat((asked, found.amax(-1, keepdim=True) / -scale), -1)
            weights = scores(less, alike[own], scale, hides).exp2_()
            whole = weights.sum(-1, keepdim=True, dtype=torch.float32)
            if bool((whole < BEYOND).all()):  # it is not, where it is no number
                break
        seen[own, shared * part.start : shared * part.stop] = torch.bmm(weights, value[own]) / whole
    return rearrange(seen, "(b g) (n r) d -> b (g r) n d", g=groups, r=shared)


def hidden(bias: Tensor, songs: Tensor, tokens: slice, shared: int) -> Tensor:
    """What is added to the binary logarithms of the weights of some tokens, each asked by so many heads of these songs."""
    added = bias[songs % len(bias), 0] * LOG2E
    return added if added.shape[1] == 1 else added[:, tokens].repeat_interleave(shared, 1)


def scores(rows: Tensor, key: Tensor, scale: float, hides: Tensor | None, every: int = 1) -> Tensor:
    """How much each row [heads, rows, D] asks for each key [heads, M, D], of which every so many are given."""
    plus = rows.new_zeros(1) if hides is None else hides[..., ::every]
    return torch.baddbmm(plus, rows, key.mT, beta=int(hides is not None), alpha=scale)


def portions(heads: int, tokens: int, scores: int) -> Iterator[tuple[slice, slice]]:
    """Heads and tokens to be worked on together, where each token of a head has so many scores."""
    parts = -(-tokens * scores // SCORES)  # of a head
    length = -(-tokens // parts)
    together = max(1, SCORES // (length * scores))
    for head in range(0, heads, together):
        for token in range(0, tokens, length):
            yield slice(head, head + together), slice(token, token + length)


def has_grouped_kernel(q: Tensor) -> bool:
    """Whether fewer key heads than query heads may stay as they are.

    Not every card has a kernel for them; without one, the scores of all pairs fill its memory.
    """
    return q.device.type == "cpu"


def self_attention(parts: Sequence[Heads], window: Window | None) -> Iterator[Tensor]:
    """For each part of a song, what its tokens see of all others, or of those in their window: [B, N, H, D]."""
    query, key, value = zip(*parts, strict=True)
    if window is None:
        yield from full_attention(query, key, value)
    else:
        seen = windowed_attention(joined(query), joined(key), joined(value), window)
        yield from seen.split([own.shape[1] for own in query], 1)


def joined(parts: Sequence[Tensor], along: int = 1) -> Tensor:
    """The whole of what follows one another."""
    return parts[0] if len(parts) == 1 else torch.cat(tuple(parts), along)


def full_attention(
    query: Sequence[Tensor], key: Sequence[Tensor], value: Sequence[Tensor]
) -> Iterator[Tensor]:
    """Every token sees every token of every part. q: [B, N, H, D]; k, v: [B, N, G, D] -> [B, N, H, D]."""
    # Joined head by head, what each head reads over and over lies side by side.
    queries, keys, values = (
        [rearrange(own, "b n h d -> b h n d") for own in of] for of in (query, key, value)
    )
    k, v = joined(keys, 2), joined(values, 2)
    for own in queries:
        yield rearrange(attend(own, k, v), "b h n d -> b n h d")


def windowed_attention(q: Tensor, k: Tensor, v: Tensor, window: Window) -> Tensor:
    """Every token sees its window. q: [B, N, H, D]; k, v: [B, N, G, D] -> [B, N, H, D].

    Queries are cut into blocks as long as the window's reach. The keys of a block are its own and those of both
    neighbours, three overlapping views of one padded sequence, so nothing beyond them is ever multiplied:

        queries             [ 0 ][ 1 ][ 2 ]
        keys       [ pad ]  [ 0 ][ 1 ][ 2 ]  [ pad ]
        block 0    <------------------>
        block 1             <------------->
        block 2                  <-------------------->

    The window's bias then takes away the corners that are out of reach, and the padding.
    """
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
