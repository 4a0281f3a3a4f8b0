"""From wired values to a sampling run under ComfyUI's memory management."""

from collections.abc import Sequence

from torch import Tensor

from ...acestep_core.networks.costs import sampling_bytes
from ...acestep_core.sampling.job import Job
from ...acestep_core.sampling.noise import NoisePlan
from ...acestep_core.sampling.run import SamplerParts, generate_song
from ...acestep_core.sampling.settings import ResolvedSettings
from ...acestep_core.sampling.solvers import OnStep, Progress
from ...acestep_core.silence import Silence
from ...acestep_core.text.conditions import Condition
from ...acestep_core.timebase import MIN_FRAMES, seconds_of
from ..host.runtime import Bar
from ..wires.limits import batch_indices
from ..wires.sockets import ConditionList, ModelHandle, NoiseChoice, VaeHandle
from ..wires.tensors import Latent, mask_of_wire, source_of_latent
from .envelope import Envelope
from .excerpts import Excerpts, excerpts_of


def job_of(
    model: ModelHandle, conditions: ConditionList, source: Latent, seed: int, noise: NoiseChoice | None
) -> Job:
    """What is played, from what noise."""
    frames = source_of_latent(source, "source", model.silence)
    index = batch_indices(source).get("batch_index")
    if len(frames) == 1 < len(conditions):  # one song, many wishes: each is played on it
        frames, index = frames.expand(len(conditions), -1, -1), None
    plan = noise.plan if noise else NoisePlan.counting(seed, len(frames), index)
    return Job(conditions, frames, plan)


def wired_mask(mask: Tensor | None, source: Latent, frames: int) -> Tensor | None:
    """The mask that is wired, else the one that came along in the latent."""
    if mask is not None:
        return mask_of_wire(mask, frames)
    carried = source.get("noise_mask")
    return None if carried is None else mask_of_wire(carried, frames, "noise_mask of the latent")


def sample(
    model: ModelHandle, job: Job, settings: ResolvedSettings, preview_vae: VaeHandle | None = None
) -> tuple[Tensor, list[str]]:
    """Bring the transformer in, with room for this run, and sample; what became of the excerpts, in words.

    preview_vae: comes in as well, if both have room, so that the song can be heard on the way.
    """
    managed, room = model.transformer, room_of(model, job, settings)
    excerpts, why_not = (
        (None, []) if preview_vae is None else excerpts_of(model, preview_vae, job, settings, room)
    )
    beside = () if excerpts is None else (excerpts.vae,)
    with managed.at_work(room + (excerpts.room if excerpts else 0), *beside) as transformer:
        parts = SamplerParts(
            transformer, model.silence, managed.dtype, managed.device, record=managed.is_settled
        )
        hear = listener(settings.steps, job.frames, model.silence, excerpts)
        return generate_song(parts, job, settings, hear), excerpts.report() if excerpts else why_not


def room_of(model: ModelHandle, job: Job, settings: ResolvedSettings) -> int:
    """Bytes that a run takes beyond the weights."""
    second = job.second if settings.asked.cover_strength < 1 else ()
    tokens = sum(max((len(item.enc) for item in items), default=0) for items in (job.conditions, second))
    return sampling_bytes(
        model.config,
        job.songs,
        max(job.frames, MIN_FRAMES),
        tokens,
        settings.steps,
        settings.guided is not None,
        model.transformer.dtype.itemsize,
    )


def listener(steps: int, frames: int, silence: Silence, excerpts: Excerpts | None = None) -> OnStep:
    """Moves the bar, shows the envelope of the estimate, lets it be heard, and stops when asked."""
    bar, envelope = Bar(steps), Envelope(silence, frames)

    def hear(progress: Progress) -> None:
        bar.move(progress.done, progress.total, envelope.of(progress.clean))
        if excerpts is not None:
            excerpts.hear(progress)

    return hear


def report(model: ModelHandle, job: Job, settings: ResolvedSettings, heard: Sequence[str] = ()) -> str:
    """What was resolved, for the musician. heard: of the excerpts."""
    tasks = ", ".join(dict.fromkeys(condition.task.name for condition in job.conditions))
    with_adapters = f" with {model.played_with}" if model.adapters else ""
    lines = [
        f"{tasks} on {model.name} ({model.variant.value}){with_adapters}, {job.songs} x {seconds_of(job.frames):g} s",
        settings.report(),
    ]
    lines.append(f"Seeds: {', '.join(map(str, job.noise.seeds))}")
    if job.noise.retake_seeds is not None:
        lines.append(f"Retake {job.noise.variation:g} towards {', '.join(map(str, job.noise.retake_seeds))}")
    if settings.asked.cover_strength < 1:
        lines.append(f"Second conditions from step {settings.cover_steps + 1} on")
    if settings.turbo and settings.guided is not None:
        lines.append("Guidance on a turbo checkpoint is not what it was distilled for; expect harsher sound.")
    lines += length_lines(job.conditions, job.frames)
    unmasked = dict.fromkeys(c.task.name for c in job.conditions if not c.task.knows_masks)
    if job.mask is not None and unmasked:
        lines.append(
            f"There is a mask, which the model was not taught for {', '.join(unmasked)}; "
            "to change a part of a song, choose repaint, extend or lego"
        )
    if job.frames < MIN_FRAMES:
        lines.append(f"Sampled on {seconds_of(MIN_FRAMES):g} s, the model's shortest song, and cut.")
    lines += heard
    return "\n".join(line if line.endswith(".") else f"{line}." for line in lines)  # some viewers join lines


def length_lines(conditions: Sequence[Condition], frames: int) -> list[str]:
    """Where the words tell the model of another length than the song's."""
    return [
        f"The words tell the model of {seconds:g} s; wire the source of this Sampler to Encode Conditions as well."
        for seconds in {condition.brief.duration for condition in conditions}
        if seconds is not None and abs(seconds - seconds_of(frames)) >= 1
    ]
