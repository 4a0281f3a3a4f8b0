"""The transformer's evaluations in a run: plain, or as CUDA graphs where a card would wait for each operator's launch."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .attention import Positions
from .cuda_graph import TensorStep, recorded, waits_for_launches
from .dit import Branches, CrossAttended, DiffusionTransformer, Modulation

log = logging.getLogger("acestep-graph")

EQUAL = 1e-2  # of the largest velocity: libraries may choose other kernels inside a recording, which round otherwise
Capture = Callable[[TensorStep], TensorStep | None]


class Shown(NamedTuple):
    """What evaluations are shown besides noisy latents and their moment; the same in many steps of a run."""

    context: Tensor  # [B, T, 2C]
    attended: CrossAttended
    positions: Positions


def evaluate(transformer: DiffusionTransformer, x: Tensor, modulation: Modulation, shown: Shown) -> Branches:
    """The velocities at latents [B, T, C]; what a recording gives as well."""
    return transformer(
        x,
        context=shown.context,
        modulation=modulation,
        attended=shown.attended,
        positions=shown.positions,
    )


class Recorder:
    """Answers as `evaluate` does, and keeps a recording of what is shown now: other conditions, or another branch, take its place."""

    def __init__(
        self,
        transformer: DiffusionTransformer,
        pays: Callable[[TensorStep], bool] = waits_for_launches,
        capture: Capture = recorded,
    ) -> None:
        """pays: runs a step, and says whether recording it is worth while. capture: makes a recording; None if refused."""
        self._transformer, self._pays, self._capture = transformer, pays, capture
        self._static: StaticEvaluation | None = None
        self._has_failed = False

    def __call__(self, x: Tensor, modulation: Modulation, shown: Shown) -> Branches:
        if self._has_failed:
            return evaluate(self._transformer, x, modulation, shown)
        if self._static is None or self._static.shown is not shown:
            self._static = None  # the old one's memory goes first
            self._static = StaticEvaluation(self._transformer, x, modulation, shown)
            return self._static.first(x, modulation, self._pays)
        velocities = self._static.next(x, modulation, self._capture)
        if self._static.was_refused:
            self._static, self._has_failed = None, True
        return velocities


class StaticEvaluation:
    """Evaluations that are shown the same, on tensors that stay where they are, so that they can be captured as a CUDA graph.

    The first one is plain and is watched, the second one records where that pays, all others replay.
    """

    def __init__(
        self, transformer: DiffusionTransformer, x: Tensor, modulation: Modulation, shown: Shown
    ) -> None:
        """x, modulation: like those that will be given; nothing is read from them."""
        self.shown = shown
        self.was_refused = False
        self._transformer = transformer
        self._x = shown.context.new_empty(x.shape)
        self._modulation = Modulation(*(rows.new_empty(rows.shape) for rows in modulation))
        branches = 1 if shown.attended.uncond is None else 2
        self._velocities = shown.context.new_empty(branches, *x.shape)
        self._may_record = False
        self._recording: TensorStep | None = None

    def first(self, x: Tensor, modulation: Modulation, pays: Callable[[TensorStep], bool]) -> Branches:
        """The answer, and a look at whether the next ones shall be recorded."""
        self._take(x, modulation)
        self._may_record = pays(self._compute)
        return self._answer(x)

    def next(self, x: Tensor, modulation: Modulation, capture: Capture) -> Branches:
        """The answer, recorded before if it may be and is not yet."""
        self._take(x, modulation)
        if self._may_record:
            self._recording, self._may_record = self._proven(capture), False
            self.was_refused = self._recording is None
        (self._recording or self._compute)()
        return self._answer(x)

    def _proven(self, capture: Capture) -> TensorStep | None:
        """A recording that has answered as the network does; a card that replays anything else is not asked again."""
        self._compute()
        plain = self._velocities.clone()
        recording = capture(self._compute)
        if recording is None:
            return None
        self._velocities.zero_()
        recording()
        if (self._velocities - plain).abs().max() <= EQUAL * plain.abs().max():
            return recording
        log.warning("Steps run operator by operator, for a recorded one gave another answer.")
        return None

    def _take(self, x: Tensor, modulation: Modulation) -> None:
        self._x.copy_(x)
        for kept, given in zip(self._modulation, modulation, strict=True):
            kept.copy_(given)

    def _compute(self) -> None:
        made = evaluate(self._transformer, self._x, self._modulation, self.shown)
        self._velocities.copy_(torch.stack([velocity for velocity in made if velocity is not None]))

    def _answer(self, x: Tensor) -> Branches:
        """What the next question does not write over."""
        return Branches(*self._velocities.to(x, copy=True))
