"""An edit of songs: what is asked and in which steps, checked before any work is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from ..silence import Silence
from ..text.conditions import Condition
from .context import at_least
from .job import Job, check_conditions, check_latents, check_seeds
from .noise import NoisePlan
from .settings import Plan, Settings

GUIDED_STEPS = 60  # a checkpoint that needs guidance wants more steps for an edit than for a new song
MOST_DRAWS = 8


@dataclass(frozen=True, slots=True)
class EditWindow:
    """The share of the steps in which both branches are compared, and how many noises each step averages over."""

    start: float = 0.0
    end: float = 1.0
    draws: int = 1

    def __post_init__(self) -> None:
        for name, share in (("start", self.start), ("end", self.end)):
            if not 0.0 <= share <= 1.0:
                raise InvalidInputError(f"The edit's {name} is {share:g}.", "Set it between 0 and 1.")
        if self.start > self.end:
            raise InvalidInputError(
                f"The edit begins at {self.start:g} and ends at {self.end:g} of the steps.",
                "Set its start to its end, or below.",
            )
        if not 1 <= self.draws <= MOST_DRAWS:
            raise InvalidInputError(
                f"The number of draws is {self.draws}.", f"Set it from 1 to {MOST_DRAWS}."
            )


WINDOWS: Mapping[str, EditWindow] = MappingProxyType(
    {"whole": EditWindow(), "words": EditWindow(0.6, 1.0), "remix": EditWindow(0.2, 0.4)}
)


@dataclass(frozen=True, slots=True)
class EditJob:
    """The songs of one batch, and what each is and shall be."""

    original: Tensor  # the encoded songs [B, T, C]
    source: Sequence[Condition]  # what they are: one for all songs, or one each
    target: Sequence[Condition]  # what they shall be; tasks as in `source`
    noise: NoisePlan
    hints: Tensor | None = None  # [1 or B, T, C] decoded codes of the song, for the task cover
    mask: Tensor | None = None  # [1 or B, T]: above 0.5 = edit; everything else stays as it is

    @property
    def songs(self) -> int:
        """Size of the batch."""
        return len(self.original)

    @property
    def frames(self) -> int:
        """Length of every song."""
        return self.original.shape[1]

    def branch(self, conditions: Sequence[Condition]) -> Job:
        """One of both sides as an ordinary job."""
        return Job(conditions, self.original, self.noise, self.mask, start_from=self.hints)

    def lengthened(self, frames: int, silence: Silence) -> "EditJob":
        """The same edit on a canvas of at least so many frames, silent where it was added."""
        missing = max(0, frames - self.frames)
        return replace(
            self,
            original=at_least(frames, self.original, silence),
            hints=None if self.hints is None else at_least(frames, self.hints, silence),
            mask=None if self.mask is None else F.pad(self.mask, (0, missing), value=1.0),
        )


@dataclass(frozen=True, slots=True)
class EditPlan:
    """An edit with every choice made."""

    whole: Plan
    window: EditWindow

    @classmethod
    def of(cls, settings: Settings, window: EditWindow, turbo: bool) -> "EditPlan":
        """Fill in what was left open. Flow edit knows neither other solvers nor other guidance nor corrections."""
        plain = replace(
            settings,
            steps=settings.steps or (0 if turbo else GUIDED_STEPS),
            guidance_kind="apg",
            solver="euler",
            noise_strength=0.0,
            cover_strength=1.0,
            wavelet=None,
        )
        plan = plain.plan(turbo)
        if plan.times[0] < 1:
            raise InvalidInputError(
                f"The times of an edit begin at {plan.times[0]:g}, and it has to begin at 1.",
                "Let the times begin at 1, and skip the first steps with the edit's start.",
            )
        return cls(plan, window)

    @property
    def first(self) -> int:
        """Steps that are skipped."""
        return int(self.whole.steps * self.window.start)

    @property
    def paired(self) -> int:
        """Steps in which both branches are compared."""
        return int(self.whole.steps * self.window.end) - self.first

    @property
    def times(self) -> tuple[float, ...]:
        """The moments of the steps that are taken."""
        return self.whole.times[self.first :]

    @property
    def steps(self) -> int:
        """Steps that are taken."""
        return len(self.times) - 1

    @property
    def evaluations(self) -> int:
        """How often the network is asked; with guidance each asks both its branches at once."""
        return 2 * self.window.draws * self.paired + self.steps - self.paired


def check_edit(job: EditJob, channels: int) -> None:
    """Refuse an edit whose sides do not fit together."""
    for conditions in (job.source, job.target):
        check_latents(job.branch(conditions), channels)
        check_conditions(job.branch(conditions))
    check_seeds(job.branch(job.target))
    if job.noise.variation > 0:
        raise InvalidInputError(
            "The noise is a retake with a variation, and an edit draws new noise in every step.",
            "Disconnect Retake, and use another seed for another edit.",
        )
    if job.mask is not None and not (job.mask > 0.5).any():
        raise InvalidInputError(
            "The mask of the edit marks nothing to change.", "Mark a span, or invert the mask."
        )
    check_tasks(job)


def check_tasks(job: EditJob) -> None:
    """Refuse tasks that flow edit does not know, or whose inputs are missing or too many."""
    pairs = zip(*(job.branch(side).per_song(side) for side in (job.source, job.target)), strict=True)
    for source, target in pairs:
        if source.task != target.task:
            raise InvalidInputError(
                f"The source conditions have the task {source.task.name}, the target conditions {target.task.name}.",
                "Encode both with the same task; text2music is the most reliable one.",
            )
        if target.task.edits_over == "nothing":
            raise InvalidInputError(
                f"A song cannot be edited under the task {target.task.name}.",
                "Encode both conditions with text2music, or with cover or cover_nofsq.",
            )
        if (target.task.edits_over == "hints") != (job.hints is not None):
            raise InvalidInputError(
                f"The task {target.task.name} "
                + ("needs the hints of the song." if job.hints is None else "takes no hints."),
                "Connect the song by way of Audio to Codes and Codes to Latent."
                if job.hints is None
                else "Disconnect the context; with it the song would become nearly silent.",
            )
