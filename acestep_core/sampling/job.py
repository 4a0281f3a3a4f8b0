"""A batch of songs to play: what is asked, checked before any work is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from ..silence import Silence
from ..text.conditions import Condition
from ..text.tasks import require_learnt
from .context import at_least
from .noise import NoisePlan
from .settings import ResolvedSettings


@dataclass(frozen=True, slots=True)
class Job:
    """The songs of one batch."""

    conditions: Sequence[Condition]  # one for all songs, or one each
    source: (
        Tensor  # raw latents [B, T, C]: encoded audio, latents decoded from audio codes (hints), or silence
    )
    noise: NoisePlan
    mask: Tensor | None = None  # [1 or B, T]: 1 = generate; values between soften the seam
    second: Sequence[Condition] = ()  # take over where the cover strength ends
    start_from: Tensor | None = (
        None  # [1 or B, T, C] for the noise strength; None: what the network sees as source
    )

    @property
    def songs(self) -> int:
        """Size of the batch."""
        return len(self.source)

    @property
    def frames(self) -> int:
        """Length of every song."""
        return self.source.shape[1]

    def per_song(self, conditions: Sequence[Condition]) -> list[Condition]:
        """One condition for each song."""
        return list(conditions) * self.songs if len(conditions) == 1 else list(conditions)

    def lengthened(self, frames: int, silence: Silence) -> "Job":
        """The same job on a canvas of at least so many frames; what is added counts as silence to generate."""
        missing = max(0, frames - self.frames)
        mask, start = self.mask, self.start_from
        return replace(
            self,
            source=at_least(frames, self.source, silence),
            mask=None if mask is None else F.pad(mask, (0, missing), value=1.0),
            start_from=None if start is None else at_least(frames, start, silence),
        )


def check(job: Job, settings: ResolvedSettings, channels: int) -> None:
    """Refuse a job that this checkpoint cannot play with these settings."""
    check_latents(job, channels)
    check_conditions(job)
    check_task(job, settings.turbo)
    require_seeds(job.noise, job.songs)
    asked = settings.asked
    require_second(asked.cover_strength, bool(job.second))
    if asked.times and asked.times[0] < 1 and job.start_from is None:
        raise InvalidInputError(
            f"The times begin at {asked.times[0]:g}, so the run begins with music, and none is given.",
            "Connect the latent to start from, or let the times begin at 1.",
        )


def require_second(cover_strength: float, given: bool) -> None:
    """Refuse to hand over to second conditions that nobody gave."""
    if cover_strength < 1 and not given:
        raise InvalidInputError(
            f"A cover strength of {cover_strength:g} hands over to second conditions, and there are none.",
            "Connect conditions with the same fields and the task text2music, or set the cover strength to 1.",
        )


def require_seeds(noise: NoisePlan, songs: int) -> None:
    """Refuse noise for another number of songs."""
    if len(noise.seeds) != songs:
        raise InvalidInputError(
            f"There are {len(noise.seeds)} seeds for {songs} songs.",
            "Give one seed per song of the batch.",
        )


def check_latents(job: Job, channels: int) -> None:
    """Refuse what is not for the songs of this job."""
    wanted = {"source": (job.source, 3), "mask": (job.mask, 2), "start_from": (job.start_from, 3)}
    require_alike(wanted, job.songs, job.frames, channels)


def require_alike(
    wanted: Mapping[str, tuple[Tensor | None, int]], songs: int, frames: int, channels: int
) -> None:
    """Refuse tensors that are empty, broken, of another model or of another song. wanted: each with its dimensions."""
    for name, (tensor, dimensions) in wanted.items():
        if tensor is None:
            continue
        if (
            tensor.ndim != dimensions
            or (dimensions == 3 and tensor.shape[2] != channels)
            or not tensor.numel()
        ):
            shape = "[songs, frames]" if dimensions == 2 else f"[songs, frames, {channels}]"
            raise InvalidInputError(
                f"The {name} must be {shape} and is {list(tensor.shape)}.",
                "Make it with the nodes of this model.",
            )
        if not tensor.isfinite().all():
            raise InvalidInputError(
                f"The {name} holds NaN or infinite values.", "Make it anew; what made it has failed."
            )
        if tensor.shape[1] != frames or len(tensor) not in (1, songs):
            raise InvalidInputError(
                f"The {name} is for {len(tensor)} songs of {tensor.shape[1]} frames, "
                f"the source has {songs} of {frames}.",
                "Make both from the same latent.",
            )


def check_conditions(job: Job) -> None:
    """Refuse conditions that cannot be shared out among the songs."""
    allowed = {
        "conditions": (job.conditions, (1, job.songs)),
        "second conditions": (job.second, (0, 1, job.songs)),
    }
    for name, (given, counts) in allowed.items():
        require_count(given, counts, name, job.songs)


def require_count(given: Sequence[Condition], counts: Sequence[int], name: str, songs: int) -> None:
    """Refuse another number of conditions than these."""
    if len(given) not in counts:
        raise InvalidInputError(
            f"There are {len(given)} {name} for {songs} songs.", "Give one for all songs, or one for each."
        )


def check_task(job: Job, turbo: bool) -> None:
    """Refuse tasks that lack their mask, or that the checkpoint has not learnt."""
    for task in (condition.task for condition in job.conditions):
        if task.needs_mask and job.mask is None:
            raise InvalidInputError(
                f"The task {task.name} has no mask.",
                "Connect a Chunk Mask or a Region of the part to generate.",
            )
        if task.needs_mask and job.mask is not None and not (job.mask > 0.5).any():
            raise InvalidInputError(
                f"The mask for the task {task.name} marks nothing to generate.",
                "Mark a span, or invert the mask.",
            )
        require_learnt(task, turbo)
