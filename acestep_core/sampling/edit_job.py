"""An edit of songs: what is asked and in which steps, checked before any work is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from ..silence import Silence
from ..text.conditions import Condition
from ..text.tasks import Task
from .context import at_least
from .job import require_alike, require_count, require_seeds
from .noise import NoisePlan
from .settings import ResolvedSettings, Settings

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

    def pairs(self) -> list[tuple[Condition, Condition]]:
        """What each song is, and what it shall be."""
        source, target = (
            list(side) * self.songs if len(side) == 1 else list(side) for side in (self.source, self.target)
        )
        return list(zip(source, target, strict=True))

    def lengthened(self, frames: int, silence: Silence) -> "EditJob":
        """The same edit on a canvas of at least so many frames, silent where it was added."""
        missing, hints = max(0, frames - self.frames), self.hints
        return replace(
            self,
            original=at_least(frames, self.original, silence),
            hints=None if hints is None else at_least(hints.shape[1] + missing, hints, silence),
            mask=None if self.mask is None else F.pad(self.mask, (0, missing), value=1.0),
        )


@dataclass(frozen=True, slots=True)
class EditPlan:
    """An edit with every choice made."""

    whole: ResolvedSettings
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
        whole = plain.resolved(turbo)
        if whole.times[0] < 1:
            raise InvalidInputError(
                f"The times of an edit begin at {whole.times[0]:g}, and it has to begin at 1.",
                "Let the times begin at 1, and skip the first steps with the edit's start.",
            )
        return cls(whole, window)

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
    """Refuse an edit whose parts do not fit together."""
    wanted = {"source": (job.original, 3), "mask": (job.mask, 2), "context": (job.hints, 3)}
    require_alike(wanted, job.songs, job.frames, channels)
    require_count(job.source, (1, job.songs), "source conditions", job.songs)
    require_count(job.target, (1, job.songs), "target conditions", job.songs)
    require_seeds(job.noise, job.songs)
    if job.noise.variation > 0:
        raise InvalidInputError(
            "The noise is a retake with a variation, and an edit draws new noise in every step.",
            "Disconnect Retake, and use another seed for another edit.",
        )
    if job.mask is not None and not (job.mask > 0.5).any():
        raise InvalidInputError(
            "The mask of the edit marks nothing to change.", "Mark a span, or invert the mask."
        )
    for source, target in job.pairs():
        check_tasks(source.task, target.task, job.hints is not None)


def check_tasks(source: Task, target: Task, has_hints: bool) -> None:
    """Refuse tasks that flow edit does not know, or whose hints are missing; other tasks leave hints unread."""
    if source != target:
        raise InvalidInputError(
            f"The source conditions have the task {source.name}, the target conditions {target.name}.",
            "Encode both with the same task; text2music is the most reliable one.",
        )
    if target.edits_over == "nothing":
        raise InvalidInputError(
            f"A song cannot be edited under the task {target.name}.",
            "Encode both conditions with text2music, or with cover or cover_nofsq.",
        )
    if target.edits_over == "hints" and not has_hints:
        raise InvalidInputError(
            f"The task {target.name} needs the hints of the song as its context.",
            "Connect the song by way of Audio to Codes and Codes to Latent.",
        )
