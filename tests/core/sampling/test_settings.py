"""Auto follows the checkpoint; what was chosen stays as chosen."""

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.guidance import Adg, Apg, Cfg
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.settings import Settings
from acestep_core.sampling.solvers import SolverState, Step


def test_auto_on_a_turbo_checkpoint_is_eight_steps_shift_three_and_no_guidance():
    settings = Settings().resolved(turbo=True)
    assert settings.steps == 8
    assert settings.times[1] == pytest.approx(21 / 22)
    assert settings.guided is None


def test_auto_on_a_base_checkpoint_is_fifty_steps_shift_three_and_apg_seven():
    settings = Settings().resolved(turbo=False)
    assert settings.steps == 50
    assert settings.times[1] == pytest.approx(0.993243, abs=1e-6)
    assert settings.guided.guidance == Apg(7.0)


def test_what_was_chosen_stays():
    settings = Settings(steps=12, shift=1.0, guidance=3.0, guidance_kind="cfg", interval=(0.2, 0.9)).resolved(
        turbo=True
    )
    assert settings.times == pytest.approx([1 - i / 12 for i in range(13)])
    assert settings.guided.guidance == Cfg(3.0)
    assert (settings.guided.start, settings.guided.end) == (0.2, 0.9)


def test_guidance_one_is_none():
    assert Settings(guidance=1.0).resolved(turbo=False).guided is None


@pytest.mark.parametrize(
    ("kind", "guidance"),
    [("adg", Adg(4.0)), ("adg_w_norm", Adg(4.0, 3.14 / 3, True)), ("adg_wo_clip", Adg(4.0, None))],
)
def test_every_angle_guidance_has_its_limit(kind, guidance):
    assert Settings(guidance=4.0, guidance_kind=kind).resolved(turbo=False).guided.guidance == guidance


def test_noise_strength_shortens_the_run_and_cover_steps_count_what_is_left():
    settings = Settings(noise_strength=0.4, cover_strength=0.5).resolved(turbo=True)
    assert settings.times[0] == pytest.approx(9 / 14)
    assert (settings.steps, settings.cover_steps) == (3, 1)


def test_custom_times_replace_steps_and_shift():
    settings = Settings(steps=30, times=(1.0, 0.6, 0.2)).resolved(turbo=True)
    assert settings.times == (1.0, 0.6, 0.2, 0.0)


def test_the_bf16_schedule_is_rounded():
    times = Settings(bf16_schedule=True).resolved(turbo=True).times
    assert torch.tensor(times).to(torch.bfloat16).double().tolist() == list(times)


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 8), (0.5, 4), (0.3, 2), (0.0, 0)])
def test_cover_steps_are_the_whole_steps_of_the_share(strength, steps):
    assert Settings(cover_strength=strength).resolved(turbo=True).cover_steps == steps


class Corrected:
    """A velocity of 1 that notes whether its second evaluation was wanted."""

    wanted = False

    def predict(self, x, step, state):
        return torch.ones_like(x), state._replace(velocity=torch.ones_like(x))

    def correct(self, x, step, first):
        self.wanted = True
        return first


@pytest.mark.parametrize(("turbo", "corrects"), [(True, False), (False, True)])
def test_heun_corrects_the_last_step_of_base_models_only(turbo, corrects):
    field, noise = Corrected(), NoisePlan((0,)).start(4, 2)
    solver = Settings(solver="heun").resolved(turbo).solver(noise)
    solver(field, noise.initial, Step(7, 8, 0.3, 0.0), SolverState())
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
    assert Settings().resolved(turbo=True).report() == "8 steps (euler, shifted times from 1), no guidance"
    assert "APG 7" in Settings().resolved(turbo=False).report()
