"""From wired values to an edit of songs under ComfyUI's memory management."""

import torch
from torch import Tensor

from ...acestep_core.networks.costs import sampling_bytes
from ...acestep_core.sampling.edit_job import EditJob, EditPlan
from ...acestep_core.sampling.flow_edit import edit_song
from ...acestep_core.sampling.run import SamplerParts
from ...acestep_core.timebase import MIN_FRAMES, seconds_of
from ..wires.sockets import ModelHandle
from .sampling import length_lines, listener


def sample_edit(model: ModelHandle, job: EditJob, plan: EditPlan) -> Tensor:
    """Bring the transformer in, with room for both sides, and edit."""
    managed = model.transformer
    tokens = sum(max((len(item.enc) for item in side), default=0) for side in (job.source, job.target))
    room = sampling_bytes(
        model.config,
        job.songs,
        max(job.frames, MIN_FRAMES),
        tokens,
        plan.steps,
        plan.whole.guided is not None,
        managed.dtype.itemsize,
    )
    with managed.at_work(room) as transformer:
        parts = SamplerParts(transformer, model.silence, managed.dtype, managed.device)
        return edit_song(parts, job, plan, listener(plan.steps, job.frames, model.silence))


def edit_report(model: ModelHandle, job: EditJob, plan: EditPlan, what: str) -> str:
    """What was resolved, for the musician."""
    tasks = ", ".join(dict.fromkeys(target.task.name for _, target in job.pairs()))
    with_adapters = f" with {model.played_with}" if model.adapters else ""
    lines = [
        f"Edit ({what}) under {tasks} on {model.name} ({model.variant.value}){with_adapters}, "
        f"{job.songs} x {seconds_of(job.frames):g} s",
        *step_lines(plan),
        f"Seeds: {', '.join(map(str, job.noise.seeds))}",
    ]
    if any(same(source.enc, target.enc) for source, target in job.pairs()):
        lines.append("Source and target conditions say the same, so nothing will change but by the tail")
    if model.variant.is_turbo and plan.whole.guided is not None:
        lines.append("Guidance on a turbo checkpoint is not what it was distilled for; expect harsher sound")
    unread = dict.fromkeys(c.task.name for _, c in job.pairs() if c.task.edits_over != "hints")
    if job.hints is not None and unread:
        lines.append(f"The context is not used under {', '.join(unread)}; only cover reads it")
    if job.mask is not None:
        lines.append("Outside the mask the latent is that of the source; Splice keeps the samples as well")
    lines += length_lines([target for _, target in job.pairs()], job.frames)
    return "\n".join(line if line.endswith(".") else f"{line}." for line in lines)


def step_lines(plan: EditPlan) -> list[str]:
    """Where both sides are compared, where the target plays alone, and what that costs."""
    first, paired, times = plan.first, plan.paired, plan.times
    lines = [plan.whole.report()]
    if paired:
        lines.append(
            f"Compared in steps {first + 1} to {first + paired}, from t = {times[0]:.3g} to {times[paired]:.3g}"
        )
    if plan.steps > paired:
        lines.append(f"The target plays alone from t = {times[paired]:.3g} on")
    return [*lines, f"{plan.evaluations} evaluations of the network"]


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two condition sequences are equal, wherever they lie."""
    return first.shape == second.shape and torch.equal(first, second.to(first))
