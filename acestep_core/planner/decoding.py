"""A planner reads prompts once, then token after token; single tokens by a recording where a device can replay one."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .cache import Memory, Slots
from .cuda_graph import Step, can_capture, recorded
from .network import Planner

REACH = 1024  # a recording looks back over a multiple of so many tokens


class Reader:
    """Everything that a planner has read for some items: each prompt once, then the items' own tokens.

    Rows are ordered by prompt: the items' rows of the first one, then those of the second.
    """

    def __init__(
        self,
        planner: Planner,
        prompts: Sequence[Sequence[int]],
        items: int,
        room: int,
        like: Tensor,
        record: bool = False,
    ) -> None:
        """room: tokens that may follow the prompts. like: device and dtype to compute in."""
        self.planner, self.items = planner, items
        capacity = max(len(ids) for ids in prompts) + room
        self.memory = Memory(planner.sizes, len(prompts), items, capacity, like)
        ends = [self._read_prompt(number, ids) for number, ids in enumerate(prompts)]
        self.hidden = torch.cat(ends).repeat_interleave(items, 0)  # [R, W] after the last token read
        self._static: StaticStep | None = None
        if record and can_capture(planner, self.hidden.device):
            self._static = StaticStep(planner, self.memory, capture=recorded)

    def _read_prompt(self, number: int, ids: Sequence[int]) -> Tensor:
        given = torch.tensor([list(ids)], device=self.memory.keys.device)
        hidden = self.planner(given, self.memory.of_prompt(number, len(ids)))
        self.memory.share(number, len(ids))
        return hidden[:, -1]

    def read(self, tokens: Tensor) -> Tensor:
        """tokens: [I, N], the next ones of every item -> hidden states [R, W] after the last, until the next call."""
        rows = tokens.repeat(len(self.memory.lengths), 1)
        if rows.shape[1] == 1 and self._static is not None:
            self.hidden = self._static(rows)
        else:
            self.hidden = self.planner(rows, self.memory.following(rows.shape[1]))[:, -1]
        self.memory.advance(rows.shape[1])
        return self.hidden


class StaticStep:
    """One token per row on tensors that stay where they are, so that it can be recorded and replayed."""

    def __init__(self, planner: Planner, memory: Memory, capture: Callable[[Step], Step | None]) -> None:
        """capture: makes a recording of a step; None where that fails."""
        self._planner, self._memory = planner, memory
        self._capture: Callable[[Step], Step | None] | None = capture
        rows, like = len(memory.lengths) * memory.items, memory.keys
        self._ids = torch.zeros(rows, 1, dtype=torch.int64, device=like.device)
        self._positions = torch.zeros(rows, dtype=torch.int64, device=like.device)
        self._answer = torch.zeros(rows, planner.sizes.hidden_size, dtype=like.dtype, device=like.device)
        self._read: list[int] = []  # tokens of each prompt's rows that the positions know of
        self._reach = 0
        self._recording: Step | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens: [R, 1] -> hidden states [R, W] after them, valid until the next call."""
        lengths = self._memory.lengths
        if lengths != self._read:  # more than one token was read since, and not here
            starts = [length for length in lengths for _ in range(self._memory.items)]
            self._positions.copy_(torch.tensor(starts))
        self._ids.copy_(tokens)
        self._look_back(max(lengths) + 1)
        (self._recording or self._compute)()
        self._positions.add_(1)
        self._read = [length + 1 for length in lengths]
        return self._answer

    def _look_back(self, tokens: int) -> None:
        """Record anew where a recording does not look back far enough; once refused, never again."""
        if tokens <= self._reach:
            return
        self._reach = min(-(-tokens // REACH) * REACH, self._memory.capacity)
        self._recording = None  # the old one's memory goes first
        self._recording = self._capture(self._compute) if self._capture else None
        if self._recording is None:
            self._capture = None

    def _compute(self) -> None:
        slots = Slots(self._memory, self._positions, self._reach)
        self._answer.copy_(self._planner(self._ids, slots)[:, -1])
