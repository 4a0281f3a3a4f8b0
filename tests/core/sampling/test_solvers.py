"""Solvers and filters against loops written out from the specification, on velocities that can be checked by hand."""

import itertools
from functools import partial

import pytest
import torch

from acestep_core.sampling.schedule import shifted
from acestep_core.sampling.solvers import SolverState, Step, euler, heun, integrate, norm_clamped, sde
from acestep_core.sampling.velocity import Filters

TIMES = shifted(6, 3.0)


class Straight:
    """The flow from noise to one song: every point of it knows the way."""

    def __init__(self, song):
        self.song = song

    def predict(self, x, step, state):
        velocity = (x - self.song) / step.t
        return velocity, state._replace(velocity=velocity)

    def correct(self, x, step, first):
        return first


class Curved:
    """Any nonlinear velocity v(x, t), with filters, counting its evaluations."""

    def __init__(self, filters=None):
        self.filters, self.calls = filters or Filters(), []

    def velocity(self, x, t):
        self.calls.append(t)
        return torch.sin(3 * x) * (1 + t) + 0.5 * x * t

    def predict(self, x, step, state):
        velocity = self.filters.apply(self.velocity(x, step.t), x, state.velocity)
        return velocity, SolverState(None, velocity)

    def correct(self, x, step, first):
        return self.filters.apply(self.velocity(x, step.t_next), x, first)


def start(seed: int = 0):
    return torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("solver", [euler, heun])
@pytest.mark.parametrize("times", [[1.0, 0.0], TIMES])
def test_a_straight_flow_is_solved_in_one_step_or_many(solver, times):
    song = start(1)
    assert torch.allclose(integrate(Straight(song), start(), times, solver), song, atol=1e-5)


def test_the_clean_estimate_of_a_straight_flow_is_the_song_from_the_first_step_on():
    song, heard = start(1), []
    integrate(Straight(song), start(), TIMES, euler, on_step=heard.append)
    assert [(p.done, p.total) for p in heard] == [(i + 1, 6) for i in range(6)]
    assert all(torch.allclose(p.clean, song, atol=1e-5) for p in heard)


def test_euler_equals_its_loop():
    x = start()
    for t, t_next in itertools.pairwise(TIMES):
        x = x - Curved().velocity(x, t) * (t - t_next)
    assert torch.allclose(integrate(Curved(), start(), TIMES, euler), x, atol=1e-6)


@pytest.mark.parametrize("corrects_last", [True, False])
@pytest.mark.parametrize("ema", [0.0, 0.3])
def test_heun_equals_its_loop(corrects_last, ema):
    x, v_prev, field = start(), None, Curved()
    for t, t_next in itertools.pairwise(TIMES):
        dt = t - t_next
        v1 = field.velocity(x, t)
        if v_prev is not None:
            v1 = (1 - ema) * v1 + ema * v_prev
        if t_next == 0 and not corrects_last:
            x, v_prev = x - v1 * t, v1
            continue
        v2 = (1 - ema) * field.velocity(x - v1 * dt, t_next) + ema * v1
        v_prev = (v1 + v2) / 2
        x = x - dt * v_prev
    ours = Curved(Filters(ema=ema))
    out = integrate(ours, start(), TIMES, partial(heun, corrects_last=corrects_last))
    assert torch.allclose(out, x, atol=1e-6)
    assert len(ours.calls) == (12 if corrects_last else 11)


def test_heun_is_more_exact_than_euler():
    fine = integrate(Curved(), start(), shifted(2_000, 3.0), euler)
    errors = [(integrate(Curved(), start(), shifted(40, 3.0), s) - fine).norm() for s in (euler, heun)]
    assert errors[1] < errors[0] / 5


def test_the_stochastic_solver_equals_its_loop():
    noises = [start(10 + i) for i in range(6)]
    x, field = start(), Curved()
    for i, (t, t_next) in enumerate(itertools.pairwise(TIMES)):
        clean = x - field.velocity(x, t) * t
        x = t_next * noises[i] + (1 - t_next) * clean
    given = iter(noises)
    assert torch.allclose(
        integrate(Curved(), start(), TIMES, partial(sde, fresh=lambda: next(given))), x, atol=1e-6
    )


def test_the_moving_average_equals_its_loop():
    x, v_prev = start(), None
    for t, t_next in itertools.pairwise(TIMES):
        v = Curved().velocity(x, t)
        v = v if v_prev is None else 0.6 * v + 0.4 * v_prev
        x, v_prev = x - v * (t - t_next), v
    assert torch.allclose(integrate(Curved(Filters(ema=0.4)), start(), TIMES, euler), x, atol=1e-6)


def test_the_norm_clamp_limits_each_song_by_its_own_length():
    x, velocity = start(), torch.stack((start(1)[0] * 100, start(1)[1] * 0.01))
    out = norm_clamped(velocity, x, 1.5)
    for i in range(2):
        factor = min(1.0, 1.5 * x[i].pow(2).sum().sqrt().item() / velocity[i].pow(2).sum().sqrt().item())
        assert torch.allclose(out[i], velocity[i] * factor, rtol=1e-5)


def test_the_clamp_comes_before_the_average():
    x, velocity, before = start(), 100 * start(1), start(2)
    both = Filters(norm_threshold=0.5, ema=0.25).apply(velocity, x, before)
    assert torch.allclose(both, 0.75 * norm_clamped(velocity, x, 0.5) + 0.25 * before)


def test_corrections_are_applied_in_order_to_the_state_that_goes_on():
    seen = []

    def first(moved, step):
        seen.append(("first", step.number))
        return moved.x + 1

    def second(moved, step):
        seen.append(("second", step.number))
        return moved.x * 2

    out = integrate(Straight(torch.zeros(1, 2, 1)), torch.ones(1, 2, 1), [1.0, 0.0], euler, [first, second])
    assert seen == [("first", 0), ("second", 0)]
    assert torch.equal(out, torch.full((1, 2, 1), 2.0))


def test_a_listener_stops_the_run():
    class StopError(Exception):
        pass

    field = Curved()

    def stop(progress):
        if progress.done == 2:
            raise StopError

    with pytest.raises(StopError):
        integrate(field, start(), TIMES, euler, on_step=stop)
    assert len(field.calls) == 2


def test_equal_neighbours_of_a_rounded_schedule_do_not_move_the_state():
    step = Step(3, 8, 0.5, 0.5)
    x = start()
    assert torch.equal(euler(Curved(), x, step, SolverState()).x, x)


def test_sampling_does_not_change_the_noise_it_was_given():
    x = start()
    integrate(Curved(), x, TIMES, heun)
    assert torch.equal(x, start())
