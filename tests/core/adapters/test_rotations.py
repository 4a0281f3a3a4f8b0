"""Adapters that turn: lengths stay, and the series is the rotation."""

import pytest
import torch
from torch import Tensor

from acestep_core.adapters.formulas import changed
from acestep_core.adapters.rotations import TurnedInputs, TurnedOutputs


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


@pytest.fixture
def weight() -> Tensor:
    return random(12, 8, seed=9)


def test_turning_inputs_exactly_keeps_the_length_of_every_row(weight: Tensor):
    result = changed(weight, TurnedInputs(random(2, 6), None), 1.0)
    torch.testing.assert_close(result.norm(dim=1), weight.norm(dim=1))


def test_the_series_is_the_rotation_the_other_way_round_up_to_small_terms(weight: Tensor):
    angles = 0.01 * random(2, 6)
    series, exact = (
        changed(weight, TurnedInputs(angles, 5), 1.0),
        changed(weight, TurnedInputs(-angles, None), 1.0),
    )
    assert (exact - weight).abs().max() > 0.02
    torch.testing.assert_close(
        series, exact, atol=1e-5, rtol=0
    )  # PEFT's two forms differ by the sign of the angles


def test_turning_outputs_keeps_the_length_of_every_column(weight: Tensor):
    result = changed(weight, TurnedOutputs(random(3, 4, 4), 0.0, None), 1.0)
    torch.testing.assert_close(result.norm(dim=0), weight.norm(dim=0))


def test_the_constraint_limits_all_angles_together(weight: Tensor):
    blocks = random(3, 4, 4)
    free = changed(weight, TurnedOutputs(blocks, 0.0, None), 1.0)
    wide = changed(weight, TurnedOutputs(blocks, 100.0, None), 1.0)
    tight = changed(weight, TurnedOutputs(blocks, 0.01, None), 1.0)
    torch.testing.assert_close(wide, free)
    assert (tight - weight).norm() < 0.1 * (free - weight).norm()
