"""One loop for every task: from noise along the velocity to music, with solvers as functions."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..interface import ignore


class Step(NamedTuple):
    """One stretch of the way."""

    number: int  # from 0
    total: int
    t: float
    t_next: float


class SolverState(NamedTuple):
    """What one step leaves to the next."""

    average: Tensor | None = None  # guidance's running difference
    velocity: Tensor | None = None
    past: tuple[
        tuple[float, Tensor], ...
    ] = ()  # times and velocities of the steps before, the last one first
    beside: "SolverState | None" = None  # of a second velocity that is followed along (flow edit's source)


class Moved(NamedTuple):
    """Where a step led."""

    x: Tensor
    clean: Tensor  # the estimate of the finished latents from the step's beginning
    state: SolverState


class Progress(NamedTuple):
    """What a listener hears after each step."""

    done: int
    total: int
    clean: Tensor  # [B, T, C], not to be changed


class Field(Protocol):
    """The velocity of one run: an answer depends on the arguments alone, so that questions may come in any order."""

    def predict(self, x: Tensor, step: Step, state: SolverState) -> tuple[Tensor, SolverState]:
        """Velocity at (x, step.t), and what the next step has to know of it."""
        ...

    def correct(self, x: Tensor, step: Step, first: Tensor) -> Tensor:
        """Velocity at (x, step.t_next), where the step began with `first`."""
        ...


Solver = Callable[[Field, Tensor, Step, SolverState], Moved]
Correction = Callable[[Moved, Step], Tensor]
OnStep = Callable[[Progress], None]


def integrate(
    field: Field,
    x: Tensor,
    times: Sequence[float],
    solver: Solver,
    corrections: Sequence[Correction] = (),
    on_step: OnStep = ignore,
) -> Tensor:
    """Follow the field from x at times[0] to times[-1] = 0. A listener may raise to stop."""
    state, total = SolverState(), len(times) - 1
    for number, (t, t_next) in enumerate(pairwise(times)):
        step = Step(number, total, t, t_next)
        moved = solver(field, x, step, state)
        for correction in corrections:
            moved = moved._replace(x=correction(moved, step))
        x, clean, state = moved
        on_step(Progress(number + 1, total, clean))
    return x


def euler(field: Field, x: Tensor, step: Step, state: SolverState) -> Moved:
    """One evaluation, one straight line."""
    velocity, state = field.predict(x, step, state)
    return Moved(x - (step.t - step.t_next) * velocity, x - step.t * velocity, state)


def heun(field: Field, x: Tensor, step: Step, state: SolverState, corrects_last: bool = True) -> Moved:
    """A line to the end of the step, then again with the mean of both velocities."""
    predicted = euler(field, x, step, state)
    if step.t_next == 0 and not corrects_last:
        return predicted
    first = predicted.state.velocity
    assert first is not None, "a field hands on the velocity that it predicted"
    velocity = (first + field.correct(predicted.x, step, first)) / 2
    return predicted._replace(
        x=x - (step.t - step.t_next) * velocity, state=predicted.state._replace(velocity=velocity)
    )


def adams(field: Field, x: Tensor, step: Step, state: SolverState, order: int) -> Moved:
    """Adams-Bashforth of order 2 or 3: one evaluation, a curve through the velocities before, whatever the steps' lengths.

    The first step and the one to t = 0 are straight: there is nothing before the one, and the other leads to where the
    velocity is no longer smooth.
    """
    velocity, after = field.predict(x, step, state)
    past = state.past[: order - 1]
    slope = velocity if step.t_next == 0 else curved(step, velocity, past)
    after = after._replace(past=((step.t, velocity), *past)[: order - 1])
    return Moved(x - (step.t - step.t_next) * slope, x - step.t * velocity, after)


def curved(step: Step, velocity: Tensor, past: Sequence[tuple[float, Tensor]]) -> Tensor:
    """The mean velocity of a step, of the parabola (or line) through this velocity and the ones before."""
    if not past:
        return velocity
    length, (last, before) = step.t - step.t_next, past[0]
    first = (velocity - before) / (last - step.t)  # how it changes, per unit of t that has passed
    slope = velocity + first * length / 2
    if len(past) == 1:
        return slope
    earlier, oldest = past[1]
    second = (first - (before - oldest) / (earlier - last)) / (earlier - step.t)
    return slope + second * (length**2 / 3 + (last - step.t) * length / 2)


def sde(field: Field, x: Tensor, step: Step, state: SolverState, fresh: Callable[[], Tensor]) -> Moved:
    """To the clean estimate, then back up with fresh noise to the end of the step."""
    predicted = euler(field, x, step, state)
    if step.t_next == 0:
        return predicted._replace(x=predicted.clean)
    noise = fresh().to(x)
    return predicted._replace(x=step.t_next * noise + (1 - step.t_next) * predicted.clean)


def norm_clamped(velocity: Tensor, x: Tensor, threshold: float) -> Tensor:
    """The velocity, at most `threshold` times as long as x; lengths over a whole song. All [B, T, C]."""
    longest = threshold * torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    length = torch.linalg.vector_norm(velocity, dim=(1, 2), keepdim=True) + 1e-10
    return velocity * (longest / length).clamp(max=1.0)
