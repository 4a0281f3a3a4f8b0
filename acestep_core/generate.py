"""A whole run: conditions, source and settings in, finished latents out. The same lines serve every task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .conditions import Condition
from .context import Context, at_least
from .dit import DiffusionTransformer
from .errors import InvalidInputError
from .noise import NoisePlan, NoiseStream
from .repaint import Injection, blend
from .sampling import Correction, OnStep, integrate, nobody
from .settings import Plan, Settings
from .silence import Silence
from .timebase import MIN_FRAMES
from .velocity import NetworkField, Stage


@dataclass(frozen=True, slots=True)
class Player:
    """What turns conditions into latents, and where it computes."""

    transformer: DiffusionTransformer
    silence: Silence
    turbo: bool
    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Job:
    """The songs of one batch."""

    conditions: Sequence[Condition]  # one for all songs, or one each
    source: Tensor  # raw latents [B, T, C]: encoded audio, hints or silence
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

    def per_song(self, conditions: Sequence[Condition]) -> list[Condition]:
        """One condition for each song."""
        return list(conditions) * self.songs if len(conditions) == 1 else list(conditions)

    def lengthened(self, frames: int, silence: Silence) -> "Job":
        """The same job on a canvas of at least so many frames; what is added counts as silence to generate."""
        missing = max(0, frames - self.source.shape[1])
        mask, start = self.mask, self.start_from
        return replace(
            self,
            source=at_least(frames, self.source, silence),
            mask=None if mask is None else torch.nn.functional.pad(mask, (0, missing), value=1.0),
            start_from=None if start is None else at_least(frames, start, silence),
        )


def generate_song(player: Player, job: Job, settings: Settings, on_step: OnStep = nobody) -> Tensor:
    """Like `generate`, with songs below the model's shortest length padded for the run and cut back after it."""
    frames = job.source.shape[1]
    return generate(player, job.lengthened(MIN_FRAMES, player.silence), settings, on_step)[:, :frames]


@torch.no_grad()
def generate(player: Player, job: Job, settings: Settings, on_step: OnStep = nobody) -> Tensor:
    """Sample a batch of songs of any length. -> fp32 latents [B, T, C] on the player's device."""
    check(player, job, settings)
    plan = settings.plan(player.turbo)
    source = job.source.to(player.device, torch.float32)
    mask = None if job.mask is None else job.mask.to(source).expand(job.songs, -1)
    silenced = [condition.task.silences_span for condition in job.per_song(job.conditions)]
    context = Context.of(source, mask, silenced, player.silence)

    stream = job.noise.start(*source.shape[1:])
    noise = stream.initial.to(player.device)
    start = context.source if job.start_from is None else job.start_from.to(noise)
    x = plan.times[0] * noise + (1 - plan.times[0]) * start

    field = NetworkField(
        player.transformer, stages_of(player, job, plan, context), plan.times, plan.guided, settings.filters
    )
    corrections = corrections_of(plan, context, source, noise, silenced)
    latents = integrate(field, x, plan.times, plan.solver(stream), corrections, on_step)

    if mask is not None and any(silenced):
        kept = torch.where(torch.tensor(silenced, device=mask.device)[:, None], mask, 1.0)
        latents = seamed(latents, source, kept, settings)
    return latents


def stages_of(player: Player, job: Job, plan: Plan, context: Context) -> list[Stage]:
    """What the network is shown first and, for a weak cover, after the switch."""

    def stage(first_step: int, conditions: Sequence[Condition], shown: Context) -> Stage:
        sequences = [condition.enc.to(player.device, player.dtype) for condition in conditions]
        return Stage(first_step, sequences, shown.rows().to(player.dtype))

    stages = [stage(0, job.conditions, context)]
    if plan.settings.cover_strength < 1:
        stages.append(stage(plan.cover_steps, job.second, context.silent(player.silence)))
    return stages


def corrections_of(
    plan: Plan, context: Context, source: Tensor, noise: Tensor, silenced: Sequence[bool]
) -> list[Correction]:
    """What is done to the state after each step."""
    corrections: list[Correction] = []
    wavelet = plan.settings.wavelet
    if wavelet is not None:
        corrections.append(lambda moved, step: wavelet(moved.x, moved.clean, step.t))
    if any(silenced):
        held = torch.tensor(silenced, device=source.device)[:, None, None]
        injection = Injection(plan.held_steps, (context.mask == 0) & held, source, noise)
        corrections.append(lambda moved, step: injection(moved.x, step.number, step.t_next))
    return corrections


def seamed(latents: Tensor, source: Tensor, mask: Tensor, settings: Settings) -> Tensor:
    """The new latents blended into the source; a free repaint with a hard mask stays as it is."""
    seam = settings.repaint.seam_frames
    soft = bool(((mask > 0) & (mask < 1)).any())
    return blend(latents, source, mask, seam) if seam or soft else latents


def check(player: Player, job: Job, settings: Settings) -> None:
    """Refuse a job that cannot be played, before any work is done."""
    check_conditions(player, job, settings)
    songs, frames, channels = job.source.shape
    if frames == 0 or songs == 0:
        raise InvalidInputError("The source latent is empty.", "Connect a latent of 0.04 s or more.")
    tensors = {"source": job.source, "mask": job.mask, "start_from": job.start_from}
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if not torch.isfinite(tensor).all():
            raise InvalidInputError(
                f"The {name} holds NaN or infinite values.", "Make it anew; the node before it failed."
            )
        if tensor.shape[1] != frames or len(tensor) not in (1, songs):
            raise InvalidInputError(
                f"The {name} is for {len(tensor)} songs of {tensor.shape[1]} frames, the source has {songs} of {frames}.",
                "Make both from the same latent.",
            )
        if tensor.ndim == 3 and tensor.shape[2] != channels:
            raise InvalidInputError(
                f"The {name} has {tensor.shape[2]} channels, the source {channels}.",
                "Make both from the same latent.",
            )
    if len(job.noise.seeds) != songs:
        raise InvalidInputError(
            f"There are {len(job.noise.seeds)} seeds for {songs} songs.",
            "Give one seed per song of the batch.",
        )


def check_conditions(player: Player, job: Job, settings: Settings) -> None:
    """Refuse conditions that do not fit the songs, the mask or the checkpoint."""
    for role, conditions in (("conditions", job.conditions), ("second conditions", job.second)):
        if len(conditions) not in ({1, job.songs} if role == "conditions" else {0, 1, job.songs}):
            raise InvalidInputError(
                f"There are {len(conditions)} {role} for {job.songs} songs.",
                "Give one for all songs, or one for each.",
            )
    for condition in job.conditions:
        task = condition.task
        if task.needs_mask and job.mask is None:
            raise InvalidInputError(
                f"The task {task.name} has no mask.", "Connect a Chunk Mask of the part to generate."
            )
        if task.base_only and player.turbo:
            raise InvalidInputError(
                f"A turbo checkpoint has not learnt the task {task.name}.", "Load a base checkpoint for it."
            )
    if settings.cover_strength < 1 and not job.second:
        raise InvalidInputError(
            f"A cover strength of {settings.cover_strength:g} hands over to second conditions, and there are none.",
            "Connect conditions with the same fields and the task text2music, or set the cover strength to 1.",
        )
    if settings.times and settings.times[0] < 1 and job.start_from is None:
        raise InvalidInputError(
            f"The times begin at {settings.times[0]:g}, so the run begins with music, and none is given.",
            "Connect the latent to start from, or let the times begin at 1.",
        )
