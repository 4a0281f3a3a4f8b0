"""The tables and examples of the specification, and what no schedule may be."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.schedule import custom, from_nearest, shifted

TURBO = {
    1: [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125],
    2: [1, 14 / 15, 6 / 7, 10 / 13, 2 / 3, 6 / 11, 0.4, 2 / 9],
    3: [1, 21 / 22, 0.9, 5 / 6, 0.75, 9 / 14, 0.5, 0.3],
}
TURBO_BF16 = {
    1: [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125],
    2: [1, 0.93359375, 0.85546875, 0.76953125, 0.66796875, 0.546875, 0.400390625, 0.22265625],
    3: [1, 0.953125, 0.8984375, 0.83203125, 0.75, 0.64453125, 0.5, 0.30078125],
}


@pytest.mark.parametrize("shift", TURBO)
def test_eight_steps_give_the_turbo_tables(shift):
    assert shifted(8, shift) == pytest.approx([*TURBO[shift], 0], abs=1e-12)


@pytest.mark.parametrize("shift", TURBO)
def test_in_bf16_eight_steps_give_the_rounded_turbo_tables(shift):
    assert shifted(8, shift, torch.bfloat16) == [*TURBO_BF16[shift], 0]


def test_fifty_shifted_steps_give_the_recorded_values():
    times = shifted(50, 3.0)
    assert times[:4] == pytest.approx([1, 0.993243, 0.986301, 0.979167], abs=5e-7)
    assert times[-4:] == pytest.approx([0.160714, 0.111111, 0.057692, 0], abs=5e-7)


def test_in_bf16_fifty_steps_hold_three_pairs_of_equal_neighbours():
    times = shifted(50, 3.0, torch.bfloat16)
    assert times[:5] == [1, 0.98828125, 0.984375, 0.984375, 0.97265625]
    assert times[-4:] == pytest.approx([0.161133, 0.111328, 0.057861, 0], abs=5e-7)
    assert [i for i in range(50) if times[i] == times[i + 1]] == [2, 5, 16]


def test_the_bf16_schedule_is_the_formula_with_every_operation_rounded():
    half = torch.bfloat16
    for steps in (6, 27, 50):
        t = torch.linspace(1.0, 0.0, steps + 1, dtype=half)
        literal = [
            (
                (torch.tensor(3.0, dtype=half) * one)
                / (torch.tensor(1.0, dtype=half) + torch.tensor(2.0, dtype=half) * one)
            ).item()
            for one in t
        ]
        assert shifted(steps, 3.0, half) == literal


@given(steps=st.integers(1, 200), shift=st.floats(0.1, 10))
def test_every_schedule_falls_strictly_from_one_to_zero(steps, shift):
    times = shifted(steps, shift)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (1.0, 0.0)
    assert all(a > b for a, b in pairwise(times))
    assert custom(times) == times


def test_custom_times_may_leave_out_the_zero():
    assert custom([1, 0.5]) == custom([1, 0.5, 0]) == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    "times", [[], [0.0], [0.5, 0.5], [0.4, 0.6], [1.2, 0.5], [0.5, -0.1], [float("nan")]]
)
def test_times_that_do_not_fall_are_refused(times):
    with pytest.raises(InvalidInputError, match="do not fall"):
        custom(times)


@pytest.mark.parametrize(("steps", "shift"), [(0, 3.0), (8, 0.0), (8, -1.0)])
def test_no_steps_and_no_shift_are_refused(steps, shift):
    with pytest.raises(InvalidInputError):
        shifted(steps, shift)


@pytest.mark.parametrize(("level", "first"), [(1.0, 1.0), (0.6, 9 / 14), (0.55, 0.5), (0.0, 0.3)])
def test_a_run_from_music_begins_at_the_nearest_time_but_never_at_the_end(level, first):
    times = from_nearest(shifted(8, 3.0), level)
    assert times[0] == pytest.approx(first)
    assert times[-1] == 0
