"""A whole run: conditions, source and settings in, finished latents out. The same lines serve every task."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..interface import ignore
from ..networks.dit import DiffusionTransformer
from ..silence import Silence
from ..text.conditions import Condition
from ..timebase import MIN_FRAMES
from .context import Context
from .job import Job, check
from .repaint import Injection, blend
from .settings import ResolvedSettings
from .solvers import Correction, OnStep, integrate
from .velocity import NetworkField, Stage

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class SamplerParts:
    """What turns conditions into latents, and where it computes."""

    transformer: DiffusionTransformer
    silence: Silence
    dtype: torch.dtype = torch.float32
    device: torch.device = CPU
    record: bool = (
        True  # whether steps may be captured as CUDA graphs; not where a host fetches weights at each use
    )


def generate_song(
    parts: SamplerParts, job: Job, settings: ResolvedSettings, on_step: OnStep = ignore
) -> Tensor:
    """Like `generate`, with songs below the model's shortest length padded for the run and cut back after it."""
    return generate(parts, job.lengthened(MIN_FRAMES, parts.silence), settings, on_step)[:, : job.frames]


@torch.no_grad()
def generate(parts: SamplerParts, job: Job, settings: ResolvedSettings, on_step: OnStep = ignore) -> Tensor:
    """Sample a batch of songs of any length. -> fp32 latents [B, T, C] on the device of the parts."""
    check(job, settings, parts.silence.channels)
    source = job.source.to(parts.device, torch.float32)
    mask = None if job.mask is None else job.mask.to(source).expand(job.songs, -1)
    silenced = [condition.task.silences_span for condition in job.per_song(job.conditions)]
    context = Context.of(source, mask, silenced, parts.silence)

    stream = job.noise.start(*source.shape[1:])
    noise = stream.initial.to(parts.device)
    start = context.source if job.start_from is None else job.start_from.to(noise)
    x = settings.times[0] * noise + (1 - settings.times[0]) * start

    stages = stages_of(parts, job, settings, context)
    field = NetworkField(
        parts.transformer, stages, settings.times, settings.guided, settings.asked.filters, parts.record
    )
    corrections = corrections_of(settings, context, source, noise, silenced)
    latents = integrate(field, x, settings.times, settings.solver(stream), corrections, on_step)

    if job.mask is not None and any(silenced):
        repainted = torch.tensor(silenced, device=job.mask.device)[:, None]
        mask = torch.where(repainted, job.mask.float(), 1.0)
        latents = seamed(latents, source, mask, settings.asked.repaint.seam_frames)
    return latents


def stages_of(parts: SamplerParts, job: Job, settings: ResolvedSettings, context: Context) -> list[Stage]:
    """What the network is shown first and, for a weak cover, after the switch."""

    def stage(first_step: int, conditions: Sequence[Condition], shown: Context) -> Stage:
        sequences = [condition.enc.to(parts.device, parts.dtype) for condition in conditions]
        return Stage(first_step, sequences, shown.rows().to(parts.dtype))

    stages = [stage(0, job.conditions, context)]
    if settings.asked.cover_strength < 1:
        stages.append(stage(settings.cover_steps, job.second, context.silent(parts.silence)))
    return stages


def corrections_of(
    settings: ResolvedSettings, context: Context, source: Tensor, noise: Tensor, silenced: Sequence[bool]
) -> list[Correction]:
    """What is done to the state after each step."""
    corrections: list[Correction] = []
    wavelet = settings.asked.wavelet
    if wavelet is not None:
        corrections.append(lambda moved, step: wavelet(moved.x, moved.clean, step.t))
    if any(silenced):
        held = torch.tensor(silenced, device=source.device)[:, None, None]
        injection = Injection(settings.held_steps, (context.mask == 0) & held, source, noise)
        corrections.append(lambda moved, step: injection(moved.x, step.number, step.t_next))
    return corrections


def seamed(latents: Tensor, source: Tensor, mask: Tensor, seam: int) -> Tensor:
    """The new latents blended into the source over `seam` frames; unchanged if there are none and the mask is hard.

    mask: where the job keeps it, so that its values can be asked for without waiting for the device.
    """
    soft = bool(((mask > 0) & (mask < 1)).any())
    return blend(latents, source, mask.to(source), seam) if seam or soft else latents
