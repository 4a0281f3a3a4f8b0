"""One loop for every task: from noise along the velocity to music, with solvers as functions."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Step(NamedTuple):
    """One stretch of the way."""

    number: int  # from 0
    total: int
    t: float
    t_next: float


class Memory(NamedTuple):
    """What one step leaves to the next."""

    average: Tensor | None = None  # guidance's running difference
    velocity: Tensor | None = None


class Moved(NamedTuple):
    """Where a step led."""

    x: Tensor
    clean: Tensor  # the estimate of the finished latents from the step's beginning
    memory: Memory


class Progress(NamedTuple):
    """What a listener hears after each step."""

    done: int
    total: int
    clean: Tensor  # [B, T, C], not to be changed


class Field(Protocol):
    """The velocity of one run."""

    def predict(self, x: Tensor, step: Step, memory: Memory) -> tuple[Tensor, Memory]:
        """Velocity at (x, step.t) and what to remember of it."""
        ...

    def correct(self, x: Tensor, step: Step, first: Tensor) -> Tensor:
        """Velocity at (x, step.t_next), where the step began with `first`."""
        ...


Solver = Callable[[Field, Tensor, Step, Memory], Moved]
Correction = Callable[[Moved, Step], Tensor]
OnStep = Callable[[Progress], None]


def nobody(progress: Progress) -> None:
    """A listener that does not care."""


def integrate(
    field: Field,
    x: Tensor,
    times: Sequence[float],
    solver: Solver,
    corrections: Sequence[Correction] = (),
    on_step: OnStep = nobody,
) -> Tensor:
    """Follow the field from x at times[0] to times[-1] = 0. A listener may raise to stop."""
    memory, total = Memory(), len(times) - 1
    for number, (t, t_next) in enumerate(pairwise(times)):
        step = Step(number, total, t, t_next)
        moved = solver(field, x, step, memory)
        for correction in corrections:
            moved = moved._replace(x=correction(moved, step))
        x, clean, memory = moved
        on_step(Progress(number + 1, total, clean))
    return x


def euler(field: Field, x: Tensor, step: Step, memory: Memory) -> Moved:
    """One evaluation, one straight line."""
    velocity, memory = field.predict(x, step, memory)
    return Moved(x - (step.t - step.t_next) * velocity, x - step.t * velocity, memory)


def heun(field: Field, x: Tensor, step: Step, memory: Memory, corrects_last: bool = True) -> Moved:
    """A line to the end of the step, then again with the mean of both velocities."""
    predicted = euler(field, x, step, memory)
    if step.t_next == 0 and not corrects_last:
        return predicted
    first = predicted.memory.velocity
    assert first is not None, "a field remembers the velocity it predicted"
    velocity = (first + field.correct(predicted.x, step, first)) / 2
    return predicted._replace(
        x=x - (step.t - step.t_next) * velocity, memory=predicted.memory._replace(velocity=velocity)
    )


def sde(field: Field, x: Tensor, step: Step, memory: Memory, fresh: Callable[[], Tensor]) -> Moved:
    """To the clean estimate, then back up with fresh noise to the end of the step."""
    predicted = euler(field, x, step, memory)
    if step.t_next == 0:
        return predicted._replace(x=predicted.clean)
    noise = fresh().to(x)
    return predicted._replace(x=step.t_next * noise + (1 - step.t_next) * predicted.clean)


def norm_clamped(velocity: Tensor, x: Tensor, threshold: float) -> Tensor:
    """The velocity, at most `threshold` times as long as x; lengths over a whole song. All [B, T, C]."""
    longest = threshold * torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    length = torch.linalg.vector_norm(velocity, dim=(1, 2), keepdim=True) + 1e-10
    return velocity * (longest / length).clamp(max=1.0)
