"""A job that cannot be played is refused before any work is done."""

from dataclasses import replace

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.job import Job, check
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.settings import Settings
from acestep_core.text.conditions import Condition
from acestep_core.text.prompts import Brief
from acestep_core.text.tasks import TASKS
from acestep_core.timebase import FrameSpan

NAN = torch.full((1, 40, 8), float("nan"))


def condition(task: str = "text2music") -> Condition:
    return Condition(torch.randn(9, 48), TASKS[task], Brief("", ""))


def source(frames: int = 40, songs: int = 1):
    return torch.randn(songs, frames, 8)


def job(task: str = "text2music", songs: int = 1, frames: int = 40, **more) -> Job:
    return Job([condition(task)], source(frames, songs), NoisePlan.counting(11, songs), **more)


def span(frames: int = 40):
    return FrameSpan(10, 25).mask(frames)[None]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: job("repaint"), "task repaint has no mask"),
        (lambda: job("repaint", mask=torch.zeros(1, 40)), "marks nothing to generate"),
        (lambda: job("extend"), "task extend has no mask"),
        (lambda: job("extract"), "turbo checkpoint has not learnt the task extract"),
        (lambda: replace(job(), source=NAN), "source holds NaN"),
        (lambda: job(start_from=NAN), "start_from holds NaN"),
        (lambda: job(mask=torch.full((1, 40), float("nan"))), "mask holds NaN"),
        (lambda: job(mask=span(frames=41)), "mask is for 1 songs of 41 frames"),
        (lambda: job(start_from=source(41)), "start_from is for 1 songs of 41 frames"),
        (lambda: job(songs=2, mask=span().expand(3, -1)), "mask is for 3 songs"),
        (
            lambda: job(start_from=torch.zeros(1, 40, 9)),
            r"start_from must be \[songs, frames, 8\] and is \[1, 40, 9\]",
        ),
        (lambda: replace(job(songs=3), conditions=[condition()] * 2), "2 conditions for 3 songs"),
        (lambda: replace(job(), conditions=[]), "0 conditions for 1 songs"),
        (lambda: replace(job(songs=3), second=[condition()] * 2), "2 second conditions for 3 songs"),
        (lambda: replace(job(), noise=NoisePlan((1, 2))), "2 seeds for 1 songs"),
        (lambda: replace(job(), source=torch.zeros(1, 0, 8)), "source must be"),
        (lambda: replace(job(), source=torch.zeros(1, 40, 6)), "source must be"),
        (lambda: replace(job(), source=torch.zeros(40, 8)), "source must be"),
    ],
)
def test_a_job_that_cannot_be_played_is_refused_in_two_sentences(wrong, message):
    with pytest.raises(InvalidInputError, match=message) as caught:
        check(wrong(), Settings().resolved(turbo=True), channels=8)
    assert caught.value.remedy.endswith(".")


def test_a_weak_cover_without_second_conditions_is_refused():
    with pytest.raises(InvalidInputError, match="hands over to second conditions"):
        check(job("cover"), Settings(cover_strength=0.5).resolved(turbo=True), channels=8)


def test_times_below_one_without_music_are_refused():
    with pytest.raises(InvalidInputError, match="begins with music"):
        check(job(), Settings(times=(0.5, 0.2)).resolved(turbo=True), channels=8)
