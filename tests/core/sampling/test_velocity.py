"""How often the network is asked, and what it is shown when."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from acestep_core.networks.recorded import Recorder
from acestep_core.sampling.guidance import Apg, Cfg
from acestep_core.sampling.schedule import shifted
from acestep_core.sampling.solvers import SolverState, Step, euler, heun, integrate
from acestep_core.sampling.velocity import Filters, Guided, NetworkField, Stage
from support.reference.oracle import evaluate, furthest, transformers_of

TIMES = shifted(8, 3.0)


class Counting(nn.Module):
    """Our transformer, with a note of every call."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.evaluated, self.looked = [], 0

    def forward(self, x, context, modulation, attended, positions):
        self.evaluated.append(len(x) * (1 if attended.uncond is None else 2))
        return self.inner(x, context, modulation, attended, positions)

    def key_values(self, sequences):
        self.looked += 1
        return self.inner.key_values(sequences)

    def __getattr__(self, name):
        return (
            getattr(super().__getattr__("inner"), name) if name in PREPARATIONS else super().__getattr__(name)
        )


PREPARATIONS = ("modulations", "positions", "null_outputs")


@pytest.fixture
def network():
    return Counting(transformers_of("2B-like")[1])


def stage(first: int = 0, seed: int = 0, batch: int = 1, tokens: int = 11):
    generator = torch.Generator().manual_seed(seed)
    context = torch.randn(batch, 20, 16, generator=generator)
    return Stage(first, [torch.randn(tokens, 48, generator=generator) for _ in range(batch)], context)


def noise(batch: int = 1):
    return torch.randn(batch, 20, 8, generator=torch.Generator().manual_seed(77))


def test_a_run_asks_once_per_step_and_looks_at_the_conditions_once(network):
    integrate(NetworkField(network, [stage()], TIMES), noise(), TIMES, euler)
    assert network.evaluated == [1] * 8
    assert network.looked == 1


def test_a_weak_cover_costs_no_more_evaluations_and_looks_at_both_conditions_once(network):
    field = NetworkField(network, [stage(0), stage(4, seed=1)], TIMES)
    integrate(field, noise(), TIMES, euler)
    assert network.evaluated == [1] * 8
    assert network.looked == 2


def test_a_stage_from_the_first_step_on_hides_the_one_before(network):
    field = NetworkField(network, [stage(0), stage(0, seed=1)], TIMES)
    out = integrate(field, noise(), TIMES, euler)
    assert network.looked == 1
    alone = integrate(NetworkField(network.inner, [stage(0, seed=1)], TIMES), noise(), TIMES, euler)
    assert torch.equal(out, alone)


def test_outside_its_interval_guidance_costs_nothing(network):
    guided = Guided(Apg(7.0), 0.4, 0.8)
    integrate(NetworkField(network, [stage()], TIMES, guided), noise(), TIMES, euler)
    assert network.evaluated == [2 if 0.4 <= t <= 0.8 else 1 for t in TIMES[:-1]]


def test_scale_one_is_no_guidance_at_no_cost(network):
    integrate(NetworkField(network, [stage()], TIMES, Guided(Apg(1.0))), noise(), TIMES, euler)
    assert network.evaluated == [1] * 8


def test_heun_asks_twice_per_step(network):
    integrate(NetworkField(network, [stage()], TIMES), noise(), TIMES, heun)
    assert network.evaluated == [1] * 16


def test_a_prediction_is_the_networks_velocity_at_that_time():
    transformer = transformers_of("2B-like")[1]
    shown = stage(batch=2)
    field = NetworkField(transformer, [shown], TIMES)
    velocity, state = field.predict(noise(2), Step(3, 8, TIMES[3], TIMES[4]), SolverState())
    expected = evaluate(transformer, noise(2), shown.context, torch.stack(list(shown.sequences)), TIMES[3])
    assert furthest(velocity, expected) < 5e-5
    assert torch.equal(state.velocity, velocity)


def test_a_guided_run_equals_the_loop_with_both_branches_written_out():
    transformer = transformers_of("XL-like")[1]
    generator = torch.Generator().manual_seed(0)
    enc, context = torch.randn(1, 9, 48, generator=generator), torch.randn(1, 20, 16, generator=generator)
    null = transformer.null_condition_emb.expand(1, 9, -1)
    x, average, guidance = noise(), None, Apg(5.0)
    for t, t_next in pairwise(TIMES):
        cond, uncond = (evaluate(transformer, x, context, e, t) for e in (enc, null))
        d = cond - uncond if average is None else cond - uncond - 0.75 * average
        average = d
        limited = d * (2.5 / d.norm(dim=1, keepdim=True)).clamp(max=1)
        u = torch.nn.functional.normalize(cond.double(), dim=1)
        v = cond + 4 * (limited - ((limited * u).sum(1, keepdim=True) * u)).float()
        x = x - v * (t - t_next)
    field = NetworkField(transformer, [Stage(0, [enc[0]], context)], TIMES, Guided(guidance))
    assert furthest(integrate(field, noise(), TIMES, euler), x) < 5e-4


def test_the_corrector_is_guided_plainly_and_leaves_the_momentum_alone():
    transformer = transformers_of("2B-like")[1]
    shown = stage()
    step = Step(2, 8, TIMES[2], TIMES[3])
    apg, cfg = (NetworkField(transformer, [shown], TIMES, Guided(kind(4.0))) for kind in (Apg, Cfg))
    first, _ = apg.predict(noise(), step, SolverState())
    cfg.predict(noise(), step, SolverState())
    assert torch.equal(apg.correct(noise(), step, first), cfg.correct(noise(), step, first))


def test_the_corrector_asks_the_interval_about_its_own_time(network):
    guided = Guided(Cfg(3.0), 0.0, TIMES[3])
    field = NetworkField(network, [stage()], TIMES, guided)
    step = Step(2, 8, TIMES[2], TIMES[3])
    first, _ = field.predict(noise(), step, SolverState())
    field.correct(noise(), step, first)
    assert network.evaluated == [1, 2]


def test_the_corrector_is_averaged_with_the_velocity_that_the_step_began_with():
    transformer, step = transformers_of("2B-like")[1], Step(2, 8, TIMES[2], TIMES[3])
    plain, averaged = (NetworkField(transformer, [stage()], TIMES, None, Filters(ema=e)) for e in (0, 0.25))
    first, _ = plain.predict(noise(), step, SolverState())
    averaged.predict(noise(), step, SolverState())
    expected = 0.75 * plain.correct(noise(), step, first) + 0.25 * first
    assert furthest(averaged.correct(noise(), step, first), expected) < 1e-6


STEPS = [Step(number, 8, t, t_next) for number, (t, t_next) in enumerate(pairwise(TIMES))]


def test_an_answer_depends_on_its_question_alone():
    transformer = transformers_of("2B-like")[1]

    def asked(numbers):
        """Both answers to each question, from a field of their own."""
        field = NetworkField(
            transformer, [stage(0), stage(4, seed=1)], TIMES, Guided(Apg(4.0)), Filters(ema=0.2)
        )
        return {
            number: (
                field.correct(noise(), STEPS[number], noise()),
                field.predict(noise(), STEPS[number], SolverState(noise(), noise()))[0],
            )
            for number in numbers
        }

    in_turn, jumbled = asked([0, 3, 4, 7]), asked([7, 0, 4, 3])
    for number, answers in in_turn.items():
        assert all(torch.equal(*pair) for pair in zip(answers, jumbled[number], strict=True))
        alone = asked([number])[number]
        assert all(torch.equal(*pair) for pair in zip(answers, alone, strict=True))


@pytest.mark.parametrize(("number", "seed"), [(3, 0), (4, 1)])
def test_between_the_times_of_the_run_the_network_answers_as_well(number, seed):
    transformer = transformers_of("2B-like")[1]
    field = NetworkField(transformer, [stage(0), stage(4, seed=1)], TIMES, Guided(Cfg(2.0)))
    shown, t = stage(seed=seed), 0.777
    assert t not in TIMES
    cond, uncond = field.evaluate(noise(), t, number, both=True)
    null = transformer.null_condition_emb.expand(1, 5, -1)
    enc = torch.stack(list(shown.sequences))
    assert furthest(cond, evaluate(transformer, noise(), shown.context, enc, t)) < 5e-5
    assert furthest(uncond, evaluate(transformer, noise(), shown.context, null, t)) < 5e-5
    assert field.evaluate(noise(), t, number).uncond is None


def test_filters_see_the_guided_velocity():
    transformer = transformers_of("2B-like")[1]
    field = NetworkField(transformer, [stage()], TIMES, Guided(Cfg(50.0)), Filters(norm_threshold=0.5))
    velocity, _ = field.predict(noise(), Step(0, 8, 1.0, TIMES[1]), SolverState())
    assert velocity.norm() <= 0.5 * noise().norm() + 1e-4


@pytest.mark.parametrize("solver", [euler, heun])
def test_a_recorded_run_equals_the_plain_one_over_both_switches(network, monkeypatch, solver):
    """Guidance that begins and ends on the way, and conditions that change: what a card records is replaced each time."""
    recorded = []

    def recorder(transformer):
        def capture(step):
            recorded.append(step)
            return step

        return Recorder(transformer, lambda step: step() is None, capture)

    monkeypatch.setattr("acestep_core.sampling.velocity.can_capture", lambda *_: True)
    monkeypatch.setattr("acestep_core.sampling.velocity.Recorder", recorder)
    times, guided = shifted(20, 3.0), Guided(Apg(3.0), 0.3, 0.95)
    stages = [stage(0), stage(12, seed=1, tokens=5)]
    plain, replayed = (
        integrate(NetworkField(network, stages, times, guided, record=record), noise(), times, solver)
        for record in (False, True)
    )
    assert furthest(replayed, plain) < 1e-5
    assert len(recorded) == 4  # plain, guided, guided on other conditions, plain again


def test_the_cpu_records_nothing(network, monkeypatch):
    monkeypatch.setattr("acestep_core.sampling.velocity.Recorder", None)
    integrate(NetworkField(network, [stage()], TIMES, record=True), noise(), TIMES, euler)
    assert network.evaluated == [1] * 8
