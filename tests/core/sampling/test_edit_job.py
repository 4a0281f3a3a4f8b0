"""What an edit is asked and in which steps, and what is refused before any work is done."""

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.edit_job import WINDOWS, EditJob, EditPlan, EditWindow, check_edit
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.settings import Settings
from acestep_core.silence import Silence
from acestep_core.text.conditions import Condition
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS

FRAMES, CHANNELS = 24, 8
WHOLE = EditWindow()


def told(seed: int, task: str = "text2music") -> Condition:
    return Condition(torch.full((9, 48), float(seed)), TASKS[task], Brief("", ""))


def job_of(**more) -> EditJob:
    defaults = {
        "original": torch.ones(1, FRAMES, CHANNELS),
        "source": [told(1)],
        "target": [told(2)],
        "noise": NoisePlan((5,)),
    }
    return EditJob(**{**defaults, **more})


def test_one_condition_serves_all_songs_and_several_their_own():
    job = job_of(original=torch.ones(2, FRAMES, CHANNELS), target=[told(2), told(3)])
    assert [(source.enc[0, 0].item(), target.enc[0, 0].item()) for source, target in job.pairs()] == [
        (1, 2),
        (1, 3),
    ]


def test_a_short_song_is_lengthened_with_silence_and_what_was_added_may_change():
    silence = Silence(torch.full((1, 30, CHANNELS), 7.0))
    job = job_of(mask=torch.zeros(1, FRAMES), hints=torch.zeros(1, FRAMES - 1, CHANNELS))
    longer = job.lengthened(30, silence)
    assert longer.original.shape == (1, 30, CHANNELS)
    assert (longer.original[:, FRAMES:] == 7).all()
    assert longer.mask[0].tolist() == [0.0] * FRAMES + [1.0] * 6
    assert longer.hints.shape[1] == 29, "hints of another length stay recognisable"


def test_auto_is_eight_steps_without_guidance_on_turbo_and_sixty_with_seven_otherwise():
    turbo, base = (EditPlan.of(Settings(), WHOLE, kind).whole for kind in (True, False))
    assert (turbo.steps, turbo.guided) == (8, None)
    assert (base.steps, base.guided.guidance.scale) == (60, 7.0)


@pytest.mark.parametrize(("steps", "begins"), [(8, 0.75), (60, 2 / 3)])
def test_a_window_counts_steps_so_that_the_shift_moves_it(steps, begins):
    plan = EditPlan.of(Settings(steps=steps, shift=3.0), WINDOWS["words"], turbo=True)
    assert plan.times[0] == pytest.approx(begins)


@pytest.mark.parametrize(
    ("faulty", "says"),
    [
        ({"target": [told(2, "cover")]}, "task"),
        (
            {
                "source": [told(1, "repaint")],
                "target": [told(2, "repaint")],
                "mask": torch.ones(1, FRAMES),
            },
            "cannot be edited",
        ),
        ({"source": [told(1, "cover")], "target": [told(2, "cover")]}, "hints"),
        ({"noise": NoisePlan((1,), (2,), 0.5)}, "retake"),
        ({"noise": NoisePlan((1, 2))}, "2 seeds"),
        ({"mask": torch.zeros(1, FRAMES)}, "marks nothing"),
        ({"mask": torch.ones(1, FRAMES + 1)}, "mask is for"),
        ({"original": torch.full((1, FRAMES, CHANNELS), torch.nan)}, "NaN"),
        ({"original": torch.zeros(1, FRAMES, 64)}, "must be"),
        ({"source": [told(1), told(1), told(1)]}, "3 source conditions"),
        (
            {
                "source": [told(1, "cover")],
                "target": [told(2, "cover")],
                "hints": torch.zeros(1, FRAMES - 1, CHANNELS),
            },
            "context is for",
        ),
    ],
)
def test_an_edit_that_cannot_be_is_refused(faulty, says):
    with pytest.raises(InvalidInputError, match=says):
        check_edit(job_of(**faulty), CHANNELS)


@pytest.mark.parametrize("window", [(0.6, 0.4, 1), (-0.1, 1, 1), (0, 1.5, 1), (0, 1, 0), (0, 1, 9)])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(InvalidInputError):
        EditWindow(*window)


def test_times_that_begin_below_one_are_refused():
    with pytest.raises(InvalidInputError, match="begin at"):
        EditPlan.of(Settings(times=(0.8, 0.4)), WHOLE, turbo=True)
