"""Auto follows the checkpoint; what was chosen stays as chosen."""

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.guidance import Adg, Apg, Cfg
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.settings import Settings
from acestep_core.sampling.solvers import Memory, Step


def test_auto_on_a_turbo_checkpoint_is_eight_steps_shift_three_and_no_guidance():
    plan = Settings().plan(turbo=True)
    assert plan.steps == 8
    assert plan.times[1] == pytest.approx(21 / 22)
    assert plan.guided is None


def test_auto_on_a_base_checkpoint_is_fifty_steps_shift_three_and_apg_seven():
    plan = Settings().plan(turbo=False)
    assert plan.steps == 50
    assert plan.times[1] == pytest.approx(0.993243, abs=1e-6)
    assert plan.guided.guidance == Apg(7.0)


def test_what_was_chosen_stays():
    plan = Settings(steps=12, shift=1.0, guidance=3.0, guidance_kind="cfg", interval=(0.2, 0.9)).plan(
        turbo=True
    )
    assert plan.times == pytest.approx([1 - i / 12 for i in range(13)])
    assert plan.guided.guidance == Cfg(3.0)
    assert (plan.guided.start, plan.guided.end) == (0.2, 0.9)


def test_guidance_one_is_none():
    assert Settings(guidance=1.0).plan(turbo=False).guided is None


@pytest.mark.parametrize(
    ("kind", "guidance"),
    [("adg", Adg(4.0)), ("adg_w_norm", Adg(4.0, 3.14 / 3, True)), ("adg_wo_clip", Adg(4.0, None))],
)
def test_every_angle_guidance_has_its_limit(kind, guidance):
    assert Settings(guidance=4.0, guidance_kind=kind).plan(turbo=False).guided.guidance == guidance


def test_noise_strength_shortens_the_run_and_cover_steps_count_what_is_left():
    plan = Settings(noise_strength=0.4, cover_strength=0.5).plan(turbo=True)
    assert plan.times[0] == pytest.approx(9 / 14)
    assert (plan.steps, plan.cover_steps) == (3, 1)


def test_custom_times_replace_steps_and_shift():
    plan = Settings(steps=30, times=(1.0, 0.6, 0.2)).plan(turbo=True)
    assert plan.times == (1.0, 0.6, 0.2, 0.0)


def test_the_bf16_schedule_is_rounded():
    times = Settings(bf16_schedule=True).plan(turbo=True).times
    assert torch.tensor(times).to(torch.bfloat16).double().tolist() == list(times)


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 8), (0.5, 4), (0.3, 2), (0.0, 0)])
def test_cover_steps_are_the_whole_steps_of_the_share(strength, steps):
    assert Settings(cover_strength=strength).plan(turbo=True).cover_steps == steps


class Corrected:
    """A velocity of 1 that notes whether its second evaluation was wanted."""

    wanted = False

    def predict(self, x, step, memory):
        return torch.ones_like(x), memory._replace(velocity=torch.ones_like(x))

    def correct(self, x, step, first):
        self.wanted = True
        return first


@pytest.mark.parametrize(("turbo", "corrects"), [(True, False), (False, True)])
def test_heun_corrects_the_last_step_of_base_models_only(turbo, corrects):
    field, noise = Corrected(), NoisePlan((0,)).start(4, 2)
    solver = Settings(solver="heun").plan(turbo).solver(noise)
    solver(field, noise.initial, Step(7, 8, 0.3, 0.0), Memory())
    assert field.wanted == corrects


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise_strength": 1.2},
        {"cover_strength": -0.1},
        {"interval": (0.0, 2.0)},
        {"interval": (0.8, 0.2)},
        {"guidance": -1.0},
        {"guidance": 0.5},
        {"guidance": float("nan")},
        {"guidance": float("inf")},
        {"solver": "rk4"},
        {"guidance_kind": "pag"},
        {"noise_strength": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        Settings(**wrong)


def test_the_report_names_the_resolved_choices():
    assert Settings().plan(turbo=True).report() == "8 steps (euler, shifted times from 1), no guidance"
    assert "APG 7" in Settings().plan(turbo=False).report()
