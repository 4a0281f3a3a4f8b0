"""Solvers and filters against loops written out from the specification, on velocities that can be checked by hand."""

import itertools
from functools import partial

import pytest
import torch

from acestep_core.sampling.schedule import shifted
from acestep_core.sampling.solvers import (
    SolverState,
    Step,
    adams,
    curved,
    euler,
    heun,
    integrate,
    norm_clamped,
    sde,
)
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


# --------------------------------------------------------------------------------------------- Adams-Bashforth
AB2, AB3 = partial(adams, order=2), partial(adams, order=3)


class Smooth:
    """A velocity whose solution is known, smooth also at t = 0: dx/dt = cos(5 t) x."""

    def __init__(self):
        self.calls = 0

    def predict(self, x, step, state):
        self.calls += 1
        velocity = torch.cos(torch.tensor(5 * step.t, dtype=x.dtype)) * x
        return velocity, state._replace(velocity=velocity)


def error_of(solver, steps):
    """After going from t = 1 to 0.2 on steps of unequal length, so that no step is the last straight one."""
    times = [1 - 0.8 * (number / steps) ** 1.3 for number in range(steps + 1)]
    x = torch.ones(1, 1, 1, dtype=torch.float64)
    found = integrate(Smooth(), x, times, solver)
    exact = torch.exp((torch.sin(torch.tensor(1.0)) - torch.sin(torch.tensor(5.0))) / 5)
    return (found - exact).abs().item()


@pytest.mark.parametrize(("solver", "least", "most"), [(euler, 1.8, 2.2), (AB2, 3.5, 4.5), (AB3, 5.5, 9.5)])
def test_the_error_falls_with_the_order_when_steps_are_doubled(solver, least, most):
    assert least < error_of(solver, 80) / error_of(solver, 160) < most


def test_equal_steps_have_the_published_coefficients():
    step = Step(5, 9, 0.5, 0.4)
    v, v1, v2 = (torch.tensor(number, dtype=torch.float64) for number in (1.0, 10.0, 100.0))
    assert curved(step, v, [(0.6, v1)]).item() == pytest.approx(1.5 * 1 - 0.5 * 10)
    wanted = 23 / 12 * 1 - 16 / 12 * 10 + 5 / 12 * 100
    assert curved(step, v, [(0.6, v1), (0.7, v2)]).item() == pytest.approx(wanted)


@pytest.mark.parametrize("solver", [AB2, AB3])
def test_two_steps_are_eulers(solver):
    times = [1.0, 0.6, 0.0]
    assert torch.equal(
        integrate(Curved(), start(), times, solver), integrate(Curved(), start(), times, euler)
    )


def test_a_third_order_needs_two_steps_before():
    times = [1.0, 0.8, 0.5, 0.0]
    ab2, ab3 = (integrate(Curved(), start(), times, solver) for solver in (AB2, AB3))
    assert torch.equal(ab2, ab3)
    assert not torch.equal(ab2, integrate(Curved(), start(), times, euler))


@pytest.mark.parametrize("solver", [AB2, AB3])
def test_a_curve_asks_once_a_step_and_begins_each_run_anew(solver):
    field = Smooth()
    first = integrate(field, torch.ones(1, 1, 1), TIMES, solver)
    assert field.calls == len(TIMES) - 1
    assert torch.equal(integrate(field, torch.ones(1, 1, 1), TIMES, solver), first)


@pytest.mark.parametrize("solver", [AB2, AB3])
def test_the_last_step_of_a_curve_is_straight_to_the_clean_estimate(solver):
    heard = []
    x = integrate(Curved(), start(), TIMES, solver, on_step=heard.append)
    assert torch.allclose(x, heard[-1].clean, atol=1e-6)
