"""The velocity of one run: network, conditions that may switch on the way, guidance and filters."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.dit import Conditions, DiffusionTransformer
from .guidance import Branches, Guidance
from .solvers import Memory, Step, norm_clamped


@dataclass(frozen=True, slots=True)
class Guided:
    """Guidance, and the stretch of t in which it acts."""

    guidance: Guidance
    start: float = 0.0
    end: float = 1.0

    def at(self, t: float) -> bool:
        """Whether the unconditional branch is needed at t."""
        return self.guidance.scale != 1.0 and self.start <= t <= self.end


@dataclass(frozen=True, slots=True)
class Filters:
    """Optional smoothing of the velocity; 0 switches a filter off."""

    norm_threshold: float = 0.0  # longest velocity, in lengths of x
    ema: float = 0.0  # share of the velocity before

    def apply(self, velocity: Tensor, x: Tensor, before: Tensor | None) -> Tensor:
        """velocity, x, before: [B, T, C]."""
        if self.norm_threshold > 0:
            velocity = norm_clamped(velocity, x, self.norm_threshold)
        if self.ema > 0 and before is not None:
            velocity = (1 - self.ema) * velocity + self.ema * before
        return velocity


@dataclass(frozen=True, slots=True)
class Stage:
    """What the network is shown from one step on: condition sequences [L, E], one per song, and context rows."""

    first_step: int
    conditions: Sequence[Tensor]
    context: Tensor  # [B, T, 2C]


class NetworkField:
    """The transformer as a field. Made for one run: all that does not change from step to step is computed once."""

    def __init__(
        self,
        transformer: DiffusionTransformer,
        stages: Sequence[Stage],
        times: Sequence[float],
        guided: Guided | None = None,
        filters: Filters | None = None,
    ) -> None:
        rows = stages[0].context
        moments = list(dict.fromkeys(times))
        modulations = transformer.modulations(torch.tensor(moments, dtype=rows.dtype, device=rows.device))
        self._transformer = transformer
        self._stages = list(stages)
        self._modulations = dict(zip(moments, modulations, strict=True))
        self._positions = transformer.positions(rows.shape[1], rows)
        self._guided = guided
        self._filters = filters or Filters()
        self._null = transformer.remember_null(rows) if guided and any(map(guided.at, times)) else None
        self._conditions: Conditions | None = None

    def predict(self, x: Tensor, step: Step, memory: Memory) -> tuple[Tensor, Memory]:
        """Velocity at (x, step.t) and what to remember of it."""
        self._enter(step)
        guidance = self._guided.guidance if self._guided and self._guided.at(step.t) else None
        velocity, average = self._evaluate(x, step.t, guidance, memory.average)
        velocity = self._filters.apply(velocity, x, memory.velocity)
        return velocity, Memory(average, velocity)

    def correct(self, x: Tensor, step: Step, first: Tensor) -> Tensor:
        """Velocity at (x, step.t_next), where the step began with `first`; guidance's memory stays as it is."""
        t = step.t_next
        guidance = self._guided.guidance.corrector(t) if self._guided and self._guided.at(t) else None
        velocity, _ = self._evaluate(x, t, guidance, None)
        return self._filters.apply(velocity, x, first)

    def _enter(self, step: Step) -> None:
        reached = [stage for stage in self._stages if stage.first_step <= step.number]
        if self._conditions is None or len(reached) > 1:
            self._stages = self._stages[len(reached) - 1 :]
            self._conditions = self._transformer.remember(self._stages[0].conditions)

    def _evaluate(
        self, x: Tensor, t: float, guidance: Guidance | None, average: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        assert self._conditions is not None, "a step is predicted before it is corrected"
        context = self._stages[0].context
        conditions = self._conditions._replace(null=self._null if guidance else None)
        velocity = self._transformer(
            x.to(context), context, self._modulations[t], conditions, self._positions
        ).to(x)
        if guidance is None:
            return velocity, average
        return guidance(Branches(x, t, *velocity.chunk(2)), average)
