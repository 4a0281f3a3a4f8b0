"""ACE-Step for ComfyUI's own samplers."""

from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io
from einops import rearrange
from torch import Tensor

from ..acestep_core.errors import InvalidInputError
from ..acestep_core.sampling.context import Context
from ..acestep_core.sampling.job import Job, check
from ..acestep_core.sampling.noise import NoisePlan
from ..acestep_core.sampling.settings import Settings
from ..acestep_core.timebase import MIN_FRAMES, seconds_of
from .host.native_model import SHIFT, Conditioning, conditioning_of, null_like, wired
from .host.node import Node
from .host.runtime import rest_device
from .runs.sampling import job_of, length_lines, wired_mask
from .wires.limits import batch_indices, refuse_foreign
from .wires.run_inputs import seed_input, shift_input
from .wires.schema import report_output, schema
from .wires.sockets import ConditionList, Conditions, Model, ModelHandle
from .wires.tensors import Latent, latent_of, mask_to_wire

KINDS = ["apg", "cfg"]


class SongNoise:
    """A NOISE: song i of a batch starts from the same noise as in our Sampler."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generate_noise(self, input_latent: Latent) -> Tensor:
        """Noise for latents [B, C, T], which may have been picked from a larger batch."""
        samples = input_latent["samples"]
        if samples.ndim != 3:
            raise InvalidInputError(
                f"The latent has the shape {list(samples.shape)}; latents of songs are [songs, channels, frames].",
                "Connect the latent of the same To ComfyUI Model.",
            )
        songs, channels, frames = samples.shape
        index = batch_indices(input_latent).get("batch_index")
        stream = NoisePlan.counting(self.seed, songs, index).start(frames, channels)
        return rearrange(stream.initial, "b t c -> b c t")


class ToModel(Node):
    """A task for KSampler and its like."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "sampling",
            node_id="AceGraphToModel",
            display_name="To ComfyUI Model (ACE-Step)",
            description="The same model and task for the samplers, schedulers and guiders of ComfyUI itself. Everything that the "
            "Sampler is shown goes along: conditions of each song, source and mask.",
            search_aliases=["ksampler", "stock model", "conditioning", "guider", "noise"],
            inputs=[*wires(), *widgets()],
            outputs=[
                io.Model.Output(display_name="model", tooltip="For KSampler, guiders and schedulers."),
                io.Conditioning.Output(
                    display_name="positive", tooltip="The conditions, with source and mask inside."
                ),
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="The learned condition that stands for none, or the negative conditions. Only read where cfg is not 1.",
                ),
                io.Latent.Output(
                    display_name="latent", tooltip="The source, with the mask of a repaint, for latent_image."
                ),
                io.Noise.Output(
                    display_name="noise",
                    tooltip="For SamplerCustomAdvanced: the noise that our Sampler starts from.",
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        model: ModelHandle,
        conditions: ConditionList,
        source: Latent,
        seed: int,
        guidance_kind: str,
        shift: float = 0.0,
        mask: Tensor | None = None,
        negative_conditions: ConditionList = (),
    ) -> io.NodeOutput:
        projected = guidance_kind == "apg"
        asked = job_of(model, conditions, source, seed, None)
        asked = replace(asked, mask=wired_mask(mask, source, asked.frames))
        negative = negative_conditions or ()
        refuse_foreign(model, (*conditions, *negative))
        resolved = Settings(shift=shift).resolved(model.variant.is_turbo)
        for side in filter(None, (conditions, negative)):
            check(replace(asked, conditions=side), resolved, model.silence.channels)
        job = asked.lengthened(MIN_FRAMES, model.silence)
        positive, other = conditionings(model, job, negative)
        return io.NodeOutput(
            wired(model.transformer, projected, shift or SHIFT),
            positive,
            other,
            {**latent_of(job.source), **held(job), **batch_indices(source)},
            SongNoise(seed),
            report(model, asked, guidance_kind),
        )


def wires() -> list[io.Input]:
    """What is connected."""
    return [
        Model.Input("model", tooltip="From Load ACE-Step."),
        Conditions.Input("conditions", tooltip="From Encode Conditions: one for all songs, or one for each."),
        io.Latent.Input(
            "source",
            tooltip="As for the Sampler: Silence Latent, Codes to Latent for a cover, Oobleck Encode of the song for everything else.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="From Chunk Mask or Extend, 1 = generate. Needed for repaint and extend; none: everything.",
        ),
        Conditions.Input(
            "negative_conditions",
            optional=True,
            tooltip="What the song shall not be. None: the learned condition that stands for no words at all.",
        ),
    ]


def widgets() -> list[io.Input]:
    """What is set."""
    return [
        seed_input("For the output noise; KSampler draws its own noise from its own seed."),
        io.Combo.Input(
            "guidance_kind",
            options=KINDS,
            default="apg",
            tooltip="How a cfg above 1 guides: apg as the Sampler does; cfg is the plain form of the host.",
        ),
        shift_input("Above 1: more steps while it is still noisy. 0: auto (3)."),
    ]


def conditionings(model: ModelHandle, job: Job, negative: ConditionList) -> tuple[Conditioning, Conditioning]:
    """Both sides as ComfyUI carries them, with what the network is shown inside."""
    silenced = [condition.task.silences_span for condition in job.per_song(job.conditions)]
    context = Context.of(job.source, job.mask, silenced, model.silence)
    source, mask = (
        rearrange(part, "b t c -> b c t").to(rest_device()) for part in (context.source, context.mask)
    )

    def side(conditions: ConditionList) -> tuple[Tensor, Tensor]:
        items = [condition.enc.float().to(rest_device()) for condition in conditions]
        lengths = torch.tensor([len(item) for item in items])
        return torch.nn.utils.rnn.pad_sequence(items, batch_first=True), lengths

    sequences, lengths = side(tuple(job.conditions))
    null = null_like(model.transformer.network, sequences), lengths
    other = side(negative) if negative else null
    return (
        conditioning_of(sequences, lengths, source, mask),
        conditioning_of(*other, source, mask),
    )


def held(job: Job) -> dict[str, Any]:
    """The mask beside the latent, where a task keeps what lies outside; ComfyUI's samplers then hold it."""
    silenced = [condition.task.silences_span for condition in job.per_song(job.conditions)]
    if job.mask is None or not any(silenced):
        return {}
    hard = (job.mask > 0.5).float().expand(job.songs, -1)
    mask = torch.where(torch.tensor(silenced)[:, None], hard.cpu(), 1.0)
    return {"noise_mask": mask_to_wire(mask)}


def report(model: ModelHandle, job: Job, kind: str) -> str:
    """How to set ComfyUI's sampler, and what is different there."""
    tasks = ", ".join(dict.fromkeys(condition.task.name for condition in job.conditions))
    scale = "cfg 1" if model.variant.is_turbo else f"cfg 7 ({kind})"
    steps = Settings().resolved(model.variant.is_turbo).steps
    lines = [
        f"{tasks} on {model.name} ({model.variant.value}), {job.songs} x {seconds_of(job.frames):g} s, as a MODEL of ComfyUI.",
        f"As the Sampler plays it: euler, simple, {steps} steps, {scale}, denoise 1.",
        "KSampler draws its own noise: a seed there is another song than in the Sampler; SamplerCustomAdvanced takes the output noise.",
        *length_lines(job.conditions, job.frames),
    ]
    if job.frames < MIN_FRAMES:
        lines.append(f"Lengthened with silence to {seconds_of(MIN_FRAMES):g} s, the model's shortest song.")
    return "\n".join(lines)
