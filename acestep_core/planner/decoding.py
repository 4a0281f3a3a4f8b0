"""Prefill, then decode steps: prompts are fed once, then token after token; one by one through a CUDA graph where a device has them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..networks.cuda_graph import TensorStep, can_capture, recorded
from .cache import KeyValueCache, StaticView
from .network import PlannerNetwork

REACH = 1024  # a recording attends to a multiple of so many tokens


class Decoder:
    """A network with the cache of what some items have been fed: each prompt once, then the items' own tokens.

    Rows are ordered by prompt: the items' rows of the first one, then those of the second.
    """

    def __init__(
        self,
        network: PlannerNetwork,
        prompts: Sequence[Sequence[int]],
        items: int,
        room: int,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        record: bool = False,
    ) -> None:
        """room: tokens that may follow the prompts. device, dtype: to compute in; None: those of the weights."""
        self.network, self.items = network, items
        device, dtype = device or network.norm.weight.device, dtype or network.norm.weight.dtype
        capacity = max(len(ids) for ids in prompts) + room
        self.cache = KeyValueCache(network.sizes, len(prompts), items, capacity, device, dtype)
        ends = [self._feed_prompt(number, ids) for number, ids in enumerate(prompts)]
        self.hidden = torch.cat(ends).repeat_interleave(items, 0)  # [R, W] after the last token fed
        self._static: StaticStep | None = None
        if record and can_capture(network, self.hidden.device):
            self._static = StaticStep(network, self.cache, capture=recorded)

    def _feed_prompt(self, number: int, ids: Sequence[int]) -> Tensor:
        given = torch.tensor([list(ids)], device=self.cache.keys.device)
        hidden = self.network(given, self.cache.view_of_prompt(number, len(ids)))
        self.cache.share(number, len(ids))
        return hidden[:, -1]

    def feed(self, tokens: Tensor) -> Tensor:
        """tokens: [I, N], the next ones of every item -> hidden states [R, W] after the last, until the next call."""
        rows = tokens.repeat(len(self.cache.lengths), 1)
        if rows.shape[1] == 1 and self._static is not None:
            self.hidden = self._static(rows)
        else:
            self.hidden = self.network(rows, self.cache.view_of_next(rows.shape[1]))[:, -1]
        self.cache.advance(rows.shape[1])
        return self.hidden


class StaticStep:
    """One token per row on tensors that stay where they are, so that it can be captured as a CUDA graph."""

    def __init__(
        self,
        network: PlannerNetwork,
        cache: KeyValueCache,
        capture: Callable[[TensorStep], TensorStep | None],
    ) -> None:
        """capture: makes a recording of a step; None where that fails."""
        self._network, self._cache = network, cache
        self._capture: Callable[[TensorStep], TensorStep | None] | None = capture
        rows, like = len(cache.lengths) * cache.items, cache.keys
        self._ids = torch.zeros(rows, 1, dtype=torch.int64, device=like.device)
        self._positions = torch.zeros(rows, dtype=torch.int64, device=like.device)
        self._hidden = torch.zeros(rows, network.sizes.hidden_size, dtype=like.dtype, device=like.device)
        self._fed: list[int] = []  # tokens of each prompt's rows that the positions know of
        self._reach = 0
        self._recording: TensorStep | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens: [R, 1] -> hidden states [R, W] after them, valid until the next call."""
        lengths = self._cache.lengths
        if lengths != self._fed:  # more than one token was fed since, and not here
            starts = [length for length in lengths for _ in range(self._cache.items)]
            self._positions.copy_(torch.tensor(starts))
        self._ids.copy_(tokens)
        self._extend_reach(max(lengths) + 1)
        (self._recording or self._compute)()
        self._positions.add_(1)
        self._fed = [length + 1 for length in lengths]
        return self._hidden

    def _extend_reach(self, tokens: int) -> None:
        """Record anew where a recording does not reach back far enough; once refused, never again."""
        if tokens <= self._reach:
            return
        self._reach = min(-(-tokens // REACH) * REACH, self._cache.capacity)
        self._recording = None  # the old one's memory goes first
        self._recording = self._capture(self._compute) if self._capture else None
        if self._recording is None:
            self._capture = None

    def _compute(self) -> None:
        view = StaticView(self._cache, self._positions, self._reach)
        self._hidden.copy_(self._network(self._ids, view)[:, -1])
