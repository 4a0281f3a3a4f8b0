"""A planner reads prompts once, then token after token, and says how likely each next token is."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .cuda_graph import can_capture, recorded
from .planner import Planner
from .planner_memory import Memory, Slots

REACH = 256  # a recording looks back over a multiple of so many tokens


class Reader:
    """Everything that a planner has read for some items: each prompt once, then the items' own tokens.

    Rows are ordered by prompt: the items' rows of the first one, then those of the second.
    """

    def __init__(
        self, planner: Planner, prompts: Sequence[Sequence[int]], items: int, room: int, like: Tensor
    ) -> None:
        """room: tokens that may follow the prompts. like: device and dtype to compute in."""
        self.planner, self.items = planner, items
        capacity = max(len(ids) for ids in prompts) + room
        self.memory = Memory(planner.sizes, len(prompts), items, capacity, like)
        ends = [self._read_prompt(number, ids) for number, ids in enumerate(prompts)]
        self.hidden = torch.cat(ends).repeat_interleave(items, 0)  # [R, W] after the last token read

    def _read_prompt(self, number: int, ids: Sequence[int]) -> Tensor:
        given = torch.tensor([list(ids)], device=self.memory.keys.device)
        hidden = self.planner(given, self.memory.of_prompt(number, len(ids)))
        self.memory.share(number, len(ids))
        return hidden[:, -1]

    def read(self, tokens: Tensor) -> Tensor:
        """tokens: [I, N], the next ones of every item -> hidden states [R, W] after the last of them."""
        rows = tokens.repeat(len(self.memory.lengths), 1)
        self.hidden = self.planner(rows, self.memory.following(rows.shape[1]))[:, -1]
        self.memory.advance(rows.shape[1])
        return self.hidden


class Stepper:
    """One token per item after another, and the logits that follow it; recorded where a device can replay it."""

    def __init__(self, reader: Reader, head: Tensor, record: bool) -> None:
        """head: output rows [V, W] of the candidates."""
        self._reader, self._head = reader, head
        self._captures = record and can_capture(reader.planner, head.device)
        self._slots: StaticStep | None = None

    def first(self) -> Tensor:
        """Logits [R, V] after the prompts."""
        return F.linear(self._reader.hidden, self._head)

    def after(self, tokens: Tensor) -> Tensor:
        """tokens: [I] -> logits [R, V] of what comes next."""
        if not self._captures:
            return F.linear(self._reader.read(tokens[:, None]), self._head)
        if self._slots is None:
            self._slots = StaticStep(self._reader, self._head, capture=recorded)
        return self._slots(tokens)


class StaticStep:
    """The step on tensors that stay where they are, so that it can be recorded and replayed."""

    def __init__(
        self,
        reader: Reader,
        head: Tensor,
        capture: Callable[[Callable[[], Tensor]], Callable[[], Tensor]] = lambda step: step,
    ) -> None:
        """capture: makes a recording of a step that takes and gives its tensors in place."""
        self._reader, self._head, self._capture = reader, head, capture
        lengths = [length for length in reader.memory.lengths for _ in range(reader.items)]
        self._positions = torch.tensor(lengths, device=head.device)
        self._ids = torch.zeros(len(lengths), 1, dtype=torch.int64, device=head.device)
        self._reach = 0
        self._step: Callable[[], Tensor] = self._compute

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens: [I] -> logits [R, V] of what comes next, valid until the next call."""
        memory = self._reader.memory
        self._ids.copy_(tokens.repeat(len(memory.lengths))[:, None])
        reach = min(-(-(max(memory.lengths) + 1) // REACH) * REACH, memory.capacity)
        if reach != self._reach:
            self._reach, self._step = reach, self._compute  # the old recording's memory goes first
            self._step = self._capture(self._compute)
        logits = self._step()
        self._positions.add_(1)
        memory.advance(1)
        return logits

    def _compute(self) -> Tensor:
        slots = Slots(self._reader.memory, self._positions, self._reach)
        hidden = self._reader.planner(self._ids, slots)
        return F.linear(hidden[:, -1], self._head)
