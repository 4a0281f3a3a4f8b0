"""A whole run: conditions, source and settings in, finished latents out. The same lines serve every task."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.dit import DiffusionTransformer
from ..silence import Silence
from ..text.conditions import Condition
from ..timebase import MIN_FRAMES
from .context import Context
from .job import Job, check
from .repaint import Injection, blend
from .settings import Plan, Settings
from .solvers import Correction, OnStep, integrate, nobody
from .velocity import NetworkField, Stage

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Player:
    """What turns conditions into latents, and where it computes."""

    transformer: DiffusionTransformer
    silence: Silence
    turbo: bool
    dtype: torch.dtype = torch.float32
    device: torch.device = CPU


def generate_song(player: Player, job: Job, settings: Settings, on_step: OnStep = nobody) -> Tensor:
    """Like `generate`, with songs below the model's shortest length padded for the run and cut back after it."""
    return generate(player, job.lengthened(MIN_FRAMES, player.silence), settings, on_step)[:, : job.frames]


@torch.no_grad()
def generate(player: Player, job: Job, settings: Settings, on_step: OnStep = nobody) -> Tensor:
    """Sample a batch of songs of any length. -> fp32 latents [B, T, C] on the player's device."""
    check(job, settings, player.turbo, player.silence.frames(1).shape[-1])
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

    if job.mask is not None and any(silenced):
        asked = torch.tensor(silenced, device=job.mask.device)[:, None]
        latents = seamed(latents, source, torch.where(asked, job.mask.float(), 1.0), settings)
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
    """The new latents blended into the source; a free repaint with a hard mask stays as it is.

    mask: where the job keeps it, so that its values can be asked for without waiting for the device.
    """
    seam = settings.repaint.seam_frames
    soft = bool(((mask > 0) & (mask < 1)).any())
    return blend(latents, source, mask.to(source), seam) if seam or soft else latents
