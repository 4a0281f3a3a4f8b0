"""The Sampler."""

from dataclasses import replace
from functools import partial

from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.errors import InvalidInputError
from ..acestep_core.interface import AUTO
from ..acestep_core.sampling.guidance import GUIDANCE
from ..acestep_core.sampling.job import require_second
from ..acestep_core.sampling.repaint import RepaintStrength
from ..acestep_core.sampling.settings import SOLVERS, Settings
from ..acestep_core.timebase import seconds_of
from .host.node import Node, verdict
from .runs.sampling import job_of, report, sample, wired_mask
from .wires.limits import refuse_foreign
from .wires.run_inputs import guidance_input, seed_input, share_input, shift_input, steps_input
from .wires.schema import advanced, report_output, schema
from .wires.sockets import (
    NO_EXTRAS,
    ConditionList,
    Conditions,
    Extras,
    ExtraSettings,
    Model,
    ModelHandle,
    Noise,
    NoiseChoice,
    Vae,
    VaeHandle,
)
from .wires.tensors import Latent, latent_of, noted, noted_takes, source_of_latent


class Sampler(Node):
    """Play a task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "sampling",
            node_id="AceGraphSampler",
            display_name="Sampler APG (ACE-Step)",
            description="Turns noise into music along conditions and source. The same node plays every task; the conditions "
            "say which. 0 and auto follow the checkpoint: turbo 8 steps without guidance, base and sft 50 with APG 7.",
            search_aliases=["ksampler", "generate music", "apg", "acestep", "song", "music"],
            inputs=[
                Model.Input("model", tooltip="From Load ACE-Step."),
                Conditions.Input(
                    "conditions", tooltip="From Encode Conditions: one for all songs, or one for each."
                ),
                io.Latent.Input(
                    "source",
                    tooltip="text2music: Silence Latent. cover: Codes to Latent. Everything else: Oobleck Encode of the song.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="From Chunk Mask or Extend, 1 = generate. Needed for repaint and extend; lego may have one; none: everything.",
                ),
                Noise.Input("noise", optional=True, tooltip="From Retake. Replaces the seed."),
                Conditions.Input(
                    "second_conditions",
                    optional=True,
                    tooltip="The same fields with the task text2music; needed when the cover strength is below 1.",
                ),
                io.Latent.Input(
                    "start_from",
                    optional=True,
                    tooltip="For the noise strength: the encoded audio that a cover starts from. None: the source.",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="Own times from 1 down to 0, in place of steps and shift.",
                ),
                Extras.Input("extras", optional=True, tooltip="From Sampling Extras."),
                seed_input("Song i of a batch starts from the noise of seed + i."),
                steps_input("0: auto (turbo 8, base and sft 50)."),
                guidance_input(
                    "How strictly the conditions are followed. 0: auto (turbo 1, base and sft 7); 1: none, twice as fast."
                ),
                share_input(
                    "cover_strength",
                    1.0,
                    "Share of the steps that follow the source; the rest follow the second conditions. 1: all.",
                ),
                share_input(
                    "repaint_strength",
                    0.5,
                    "Repaint and extend. 0: the surroundings stay as they are; 1: they may change; between: a softer seam.",
                ),
                share_input(
                    "noise_strength",
                    0.0,
                    "0: start from noise. Towards 1: start from the music of start_from, and change less of it.",
                ),
                shift_input("Above 1: more steps while it is still noisy. 0: auto (3)."),
                advanced(
                    io.Combo.Input(
                        "guidance_kind",
                        options=[AUTO, *GUIDANCE],
                        default=AUTO,
                        tooltip="auto: apg, the model's own. cfg is the plain form; the adg forms turn angles instead.",
                    )
                ),
                advanced(
                    share_input(
                        "guidance_start",
                        0.0,
                        "Guidance acts while the time t, which falls from 1 to 0, is at least this.",
                    )
                ),
                advanced(share_input("guidance_end", 1.0, "Guidance acts while the time t is at most this.")),
                advanced(
                    io.Combo.Input(
                        "solver",
                        options=list(SOLVERS),
                        default="euler",
                        tooltip="euler: one evaluation a step. heun: two, more exact. sde: fresh noise in every step. ab2, ab3: one, and "
                        "a curve through the steps before.",
                    )
                ),
                Vae.Input(
                    "preview_vae",
                    optional=True,
                    tooltip="From Load ACE-Step: the song can be heard in this node while it is sampled, if the card has room for both "
                    "networks. The result is the same.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="For Oobleck Decode."), report_output()],
        )

    @classmethod
    def validate_inputs(
        cls,
        cover_strength: float | None = None,
        guidance_start: float | None = None,
        guidance_end: float | None = None,
        second_conditions: object = False,
    ) -> bool | str:
        """second_conditions: False where nothing is wired, None where something is."""
        shares = {
            "cover_strength": cover_strength,
            "guidance_start": guidance_start,
            "guidance_end": guidance_end,
        }
        return verdict(cls, partial(checked_shares, second_conditions is None), **shares)

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        model: ModelHandle,
        conditions: ConditionList,
        source: Latent,
        seed: int,
        steps: int,
        guidance: float,
        cover_strength: float,
        repaint_strength: float,
        noise_strength: float,
        shift: float = 0.0,
        guidance_kind: str = AUTO,
        guidance_start: float = 0.0,
        guidance_end: float = 1.0,
        solver: str = "euler",
        mask: Tensor | None = None,
        noise: NoiseChoice | None = None,
        second_conditions: ConditionList = (),
        start_from: Latent | None = None,
        sigmas: Tensor | None = None,
        extras: ExtraSettings | None = None,
        preview_vae: VaeHandle | None = None,
    ) -> io.NodeOutput:
        extras = extras or NO_EXTRAS
        settings = Settings(
            steps=steps,
            shift=shift,
            guidance=guidance,
            guidance_kind=guidance_kind,
            interval=(guidance_start, guidance_end),
            solver=solver,
            times=None if sigmas is None else tuple(sigmas.tolist()),
            bf16_schedule=extras.bf16_schedule,
            noise_strength=noise_strength,
            cover_strength=cover_strength,
            repaint=RepaintStrength(repaint_strength),
            filters=extras.filters,
            wavelet=extras.wavelet,
        )
        job = job_of(model, conditions, source, seed, noise)
        job = replace(
            job,
            mask=wired_mask(mask, source, job.frames),
            second=second_conditions or (),
            start_from=None if start_from is None else started(start_from, model, job.frames),
        )
        refuse_foreign(model, (*job.conditions, *job.second))
        resolved = settings.resolved(model.variant.is_turbo)
        latents, heard = sample(model, job, resolved, preview_vae)
        same = "batch_index" in source and len(source["samples"]) == len(latents)
        kept = {"batch_index": source["batch_index"]} if same else {}
        played = {
            **noted(model.played_with, len(latents)),
            **noted_takes(job.noise.seeds, model.name, resolved.steps),
        }
        return io.NodeOutput({**latent_of(latents), **kept, **played}, report(model, job, resolved, heard))


def started(start_from: Latent, model: ModelHandle, frames: int) -> Tensor:
    """The music that the noise strength starts from, as long as the source."""
    start = source_of_latent(start_from, "start_from", model.silence)
    if start.shape[1] != frames:
        raise InvalidInputError(
            f"The start_from lasts {seconds_of(start.shape[1]):g} s, the source {seconds_of(frames):g} s.",
            "Connect the encoded audio that the source was made from.",
        )
    return start


def checked_shares(second: bool, cover_strength: float, guidance_start: float, guidance_end: float) -> None:
    """Refuse what cannot be, whatever is wired. second: whether there are second conditions."""
    Settings(interval=(guidance_start, guidance_end))
    require_second(cover_strength, second)
