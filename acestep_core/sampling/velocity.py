"""The velocity of one run: network, conditions that may switch on the way, guidance and filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..networks.cuda_graph import can_capture
from ..networks.dit import Branches, CrossAttended, DiffusionTransformer, Modulation
from ..networks.recorded import Recorder, Shown, evaluate
from .guidance import Evaluation, Guidance
from .solvers import SolverState, Step, norm_clamped


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
    sequences: Sequence[Tensor]
    context: Tensor  # [B, T, 2C]


class PreparedStage(NamedTuple):
    """A stage with all that is the same in its every step."""

    first_step: int
    under_conditions: Shown
    both_ways: Shown | None  # without the conditions too; None: the run is not guided


class NetworkField:
    """The transformer as a field.

    Made for one run: what does not change from step to step is computed here, once, and never written to again. So an
    answer depends on the question alone, and another sampler may ask in any order and between the run's own times.
    What a card has recorded of the answers before changes only how fast the next one comes.
    """

    def __init__(
        self,
        transformer: DiffusionTransformer,
        stages: Sequence[Stage],
        times: Sequence[float],
        guided: Guided | None = None,
        filters: Filters | None = None,
        record: bool = False,
    ) -> None:
        """record: whether evaluations may be captured as CUDA graphs, where there are any."""
        self._transformer = transformer
        self._guided = guided
        self._filters = filters or Filters()
        self._like = stages[0].context
        self._positions = transformer.positions(self._like.shape[1], self._like)
        self._null = transformer.null_outputs(self._like) if guided else None
        self._stages = tuple(self._prepared(stage) for stage in reached(stages))
        records = record and can_capture(transformer, self._like.device)
        self._evaluate = Recorder(transformer) if records else partial(evaluate, transformer)
        moments = list(dict.fromkeys(times))
        self._modulations = dict(zip(moments, self._modulations_at(moments), strict=True))

    def predict(self, x: Tensor, step: Step, state: SolverState) -> tuple[Tensor, SolverState]:
        """Velocity at (x, step.t), and what the next step has to know of it."""
        guidance = self._guided.guidance if self._guided and self._guided.at(step.t) else None
        velocity, average = self._guide(x, step.t, step.number, guidance, state.average)
        velocity = self._filters.apply(velocity, x, state.velocity)
        return velocity, SolverState(average, velocity)

    def correct(self, x: Tensor, step: Step, first: Tensor) -> Tensor:
        """Velocity at (x, step.t_next), where the step began with `first`; guidance's average stays as it is."""
        t = step.t_next
        guidance = self._guided.guidance.corrector(t) if self._guided and self._guided.at(t) else None
        velocity, _ = self._guide(x, t, step.number, guidance, None)
        return self._filters.apply(velocity, x, first)

    def evaluate(self, x: Tensor, t: float, number: int, both: bool = False) -> Branches:
        """What the network says at (x, t), shown what step `number` shows; without the conditions too if `both`."""
        stage = [stage for stage in self._stages if stage.first_step <= number][-1]
        shown = stage.both_ways if both else stage.under_conditions
        assert shown is not None, "only a guided field knows the null condition"
        modulation = self._modulations.get(t) or self._modulations_at([t])[0]
        return self._evaluate(x.to(shown.context), modulation, shown).to(x)

    def _prepared(self, stage: Stage) -> PreparedStage:
        key_values = self._transformer.key_values(stage.sequences)
        under_conditions, both_ways = (
            Shown(stage.context, CrossAttended(key_values, null), self._positions)
            for null in (None, self._null)
        )
        return PreparedStage(stage.first_step, under_conditions, both_ways if self._guided else None)

    def _guide(
        self, x: Tensor, t: float, number: int, guidance: Guidance | None, average: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The guided velocity and the guidance's new average."""
        if guidance is None:
            return self.evaluate(x, t, number).cond, average
        cond, uncond = self.evaluate(x, t, number, both=True)
        assert uncond is not None, "both branches were asked for"
        return guidance(Evaluation(x, t, cond, uncond), average)

    def _modulations_at(self, moments: Sequence[float]) -> list[Modulation]:
        times = torch.tensor(moments, dtype=self._like.dtype, device=self._like.device)
        return self._transformer.modulations(times)


def reached(stages: Sequence[Stage]) -> list[Stage]:
    """The stages that any step shows: one is over where the next begins, which may be at once."""
    ends = [stage.first_step for stage in stages[1:]]
    return [
        stage
        for stage, end in zip(stages, [*ends, None], strict=True)
        if end is None or stage.first_step < end
    ]
