"""Prints how far each solver ends from the exact way, for the table in benchmarks/README.md; a test compares both.

    python benchmarks/figures/solver_errors.py

A toy, not the model: the flow from noise to a mixture of Gaussians, whose velocity is known exactly, with shift 3. Each
solver may evaluate it equally often; the reference takes 200 steps of Heun.
"""

import math
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from acestep_core.sampling.schedule import shifted  # noqa: E402  after the path is set
from acestep_core.sampling.solvers import SolverState, Step, adams, euler, heun, integrate  # noqa: E402

SPREAD, CENTRES, CHANNELS, POINTS = 0.15, 12, 8, 512
EVALUATIONS = (8, 16, 50)
SOLVERS = {"euler": euler, "heun": heun, "ab2": partial(adams, order=2), "ab3": partial(adams, order=3)}


class MixtureFlow:
    """The exact velocity between noise at t = 1 and points spread around some centres at t = 0."""

    def __init__(self) -> None:
        self.centres = torch.randn(CENTRES, CHANNELS, generator=torch.Generator().manual_seed(0)).double()

    def velocity(self, x: Tensor, t: float) -> Tensor:
        """x: [1, points, channels]."""
        rest = x[0][:, None] - (1 - t) * self.centres  # [points, centres, channels]
        variance = (1 - t) ** 2 * SPREAD**2 + t**2
        share = (-rest.square().sum(-1) / (2 * variance)).softmax(-1)
        noise, song = t / variance * rest, self.centres + SPREAD**2 * (1 - t) / variance * rest
        return (share[..., None] * (noise - song)).sum(1)[None]

    def predict(self, x: Tensor, step: Step, state: SolverState) -> tuple[Tensor, SolverState]:
        """As the sampling loop asks."""
        velocity = self.velocity(x, step.t)
        return velocity, state._replace(velocity=velocity)

    def correct(self, x: Tensor, step: Step, first: Tensor) -> Tensor:  # noqa: ARG002  (of every field)
        """Heun's second evaluation."""
        return self.velocity(x, step.t_next)


def table() -> Iterator[str]:
    """In Markdown, one row for each number of evaluations."""
    field, start = (
        MixtureFlow(),
        torch.randn(1, POINTS, CHANNELS, generator=torch.Generator().manual_seed(1)).double(),
    )
    exact = integrate(field, start, shifted(200, 3.0), heun)
    yield f"| evaluations | {' | '.join(SOLVERS)} |"
    yield "| --- |" + " --- |" * len(SOLVERS)
    for evaluations in EVALUATIONS:
        errors = []
        for name, solver in SOLVERS.items():
            steps = evaluations // 2 if name == "heun" else evaluations
            end = integrate(field, start, shifted(steps, 3.0), solver)
            errors.append(math.sqrt((end - exact).square().mean().item()))
        yield f"| {evaluations} | {' | '.join(f'{error:.3f}' for error in errors)} |"


if __name__ == "__main__":
    print(*table(), sep="\n")
