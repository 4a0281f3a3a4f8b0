"""Flow edit: other words or another style for a song, while its music stays.

Two velocities, one under the source's conditions and one under the target's, are compared on equally noisy versions of
the song; the song follows their difference. From the window's end on the target plays alone, as in any other run.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor

from ..interface import ignore
from ..silence import Silence
from ..text.conditions import Condition
from ..timebase import MIN_FRAMES
from .context import Context
from .edit_job import EditJob, EditPlan, check_edit
from .noise import NoisePlan
from .run import SamplerParts
from .solvers import Field, Moved, OnStep, SolverState, Step, euler, integrate
from .velocity import Filters, NetworkField, Stage


class MorphField:
    """The velocity of an edit: target less source while both are compared, the target's afterwards."""

    def __init__(
        self,
        source: Field,
        target: Field,
        original: Tensor,
        draw: Callable[[], Tensor],
        paired: int,
        draws: int = 1,
        ema: float = 0.0,
    ) -> None:
        """source, target: fields without a filter over time of their own. paired: steps of comparison.

        ema: share of the velocity before, as in `Filters`; each branch is smoothed once per step, after averaging.
        """
        self._source, self._target = source, target
        self._original = original
        self._draw = draw
        self._paired, self._draws = paired, draws
        self._smoothing = Filters(ema=ema)

    def predict(self, x: Tensor, step: Step, state: SolverState) -> tuple[Tensor, SolverState]:
        """`state` is the target's, and holds the source's beside it."""
        if step.number >= self._paired:
            return self._smoothed([self._target.predict(x, step, state)], x, state)
        beside = state.beside or SolverState()
        drawn = [self._drawn(x, step, beside, state) for _ in range(self._draws)]
        source, beside = self._smoothed([pair[0] for pair in drawn], x, beside)
        target, state = self._smoothed([pair[1] for pair in drawn], x, state)
        return target - source, state._replace(beside=beside)

    def correct(self, x: Tensor, step: Step, first: Tensor) -> Tensor:
        """Never asked for: an edit takes straight steps."""
        raise NotImplementedError

    def _drawn(
        self, x: Tensor, step: Step, beside: SolverState, state: SolverState
    ) -> tuple[tuple[Tensor, SolverState], tuple[Tensor, SolverState]]:
        """Both velocities on one noise. x: the song as far as it has changed."""
        noisy = step.t * (self._draw() - self._original)
        source = self._source.predict(self._original + noisy, step, beside)
        return source, self._target.predict(x + noisy, step, state)

    def _smoothed(
        self, results: Sequence[tuple[Tensor, SolverState]], x: Tensor, before: SolverState
    ) -> tuple[Tensor, SolverState]:
        """The mean of several draws, each made from the state before the step."""
        velocity = mean_of([velocity for velocity, _ in results])
        averages = [state.average for _, state in results if state.average is not None]
        velocity = self._smoothing.apply(velocity, x, before.velocity)
        return velocity, SolverState(mean_of(averages) if averages else None, velocity)


def mean_of(tensors: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of one shape; of one it is that one."""
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors)).mean(0)


class HandOver:
    """What is done to the song after each step: the rest is kept, and noise is added where the target goes on alone."""

    def __init__(
        self, original: Tensor, outside: Tensor | None, paired: int, draw: Callable[[], Tensor]
    ) -> None:
        """outside: [B or 1, T, 1] bool, what the edit must leave; None: nothing."""
        self._original, self._outside = original, outside
        self._paired, self._draw = paired, draw
        self._noise: Tensor | None = None

    def start(self, t: float) -> Tensor:
        """The song that the run begins with, at t: clean, or already noisy where nothing is compared."""
        return self._at(self._original, 0, t)

    def __call__(self, moved: Moved, step: Step) -> Tensor:
        """The state after a step."""
        return self._at(moved.x, step.number + 1, step.t_next)

    def _at(self, x: Tensor, done: int, t: float) -> Tensor:
        if done == self._paired and t > 0:
            self._noise = self._draw()
            x = x + t * (self._noise - self._original)
        if self._outside is None:
            return x
        kept = self._original if self._noise is None else self._original + t * (self._noise - self._original)
        return torch.where(self._outside, kept, x)


def edit_song(parts: SamplerParts, job: EditJob, plan: EditPlan, on_step: OnStep = ignore) -> Tensor:
    """Like `edit`, with songs below the model's shortest length padded for the run and cut back after it."""
    return edit(parts, job.lengthened(MIN_FRAMES, parts.silence), plan, on_step)[:, : job.frames]


@torch.no_grad()
def edit(parts: SamplerParts, job: EditJob, plan: EditPlan, on_step: OnStep = ignore) -> Tensor:
    """Edit a batch of songs. -> fp32 latents [B, T, C] on the device of the parts."""
    check_edit(job, parts.silence.channels)
    original = job.original.to(parts.device, torch.float32)
    outside = None if job.mask is None else (job.mask <= 0.5)[..., None].to(original.device)
    source, target = (field_of(parts, job, conditions, plan) for conditions in (job.source, job.target))
    return morph(source, target, original, plan, draws_of(job.noise, original), outside, on_step)


def draws_of(noise: NoisePlan, original: Tensor) -> Callable[[], Tensor]:
    """Hands out [B, T, C] after [B, T, C], each song's from its own seed; the first is what any run begins with."""
    stream = noise.start(*original.shape[1:])
    drawn = chain((stream.initial,), iter(stream.fresh, None))
    return lambda: next(drawn).to(original)


def morph(
    source: Field,
    target: Field,
    original: Tensor,
    plan: EditPlan,
    draw: Callable[[], Tensor],
    outside: Tensor | None = None,
    on_step: OnStep = ignore,
) -> Tensor:
    """Follow both fields from the original [B, T, C]; outside: [B or 1, T, 1] bool, what stays as it is."""
    hand_over = HandOver(original, outside, plan.paired, draw)
    field = MorphField(
        source, target, original, draw, plan.paired, plan.window.draws, plan.whole.asked.filters.ema
    )
    return integrate(field, hand_over.start(plan.times[0]), plan.times, euler, [hand_over], on_step)


def field_of(
    parts: SamplerParts, job: EditJob, conditions: Sequence[Condition], plan: EditPlan
) -> NetworkField:
    """The network under the conditions of one side."""
    context = shown(job, parts.silence).rows().to(parts.device, parts.dtype)
    sequences = [condition.enc.to(parts.device, parts.dtype) for condition in conditions]
    filters = replace(plan.whole.asked.filters, ema=0.0)
    stage = Stage(0, sequences, context)
    return NetworkField(parts.transformer, [stage], plan.times, plan.whole.guided, filters)


def shown(job: EditJob, silence: Silence) -> Context:
    """What both sides see of existing music: nothing, the hints, or the song itself, as their tasks say."""
    existing = {
        "silence": silence.frames(job.frames).to(job.original).expand_as(job.original),
        "hints": job.original if job.hints is None else job.hints.to(job.original).expand_as(job.original),
        "song": job.original,
    }
    rows = torch.stack(
        [existing[target.task.edits_over][song] for song, (_, target) in enumerate(job.pairs())]
    )
    return Context.of(rows, None, [False] * job.songs, silence)
