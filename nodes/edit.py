"""Other words or another style for a finished song."""

from functools import partial

from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.sampling.edit_job import MOST_DRAWS, WINDOWS, EditJob, EditPlan, EditWindow
from ..acestep_core.sampling.settings import Settings
from .host.node import Node, verdict
from .runs.editing import edit_report, sample_edit
from .runs.sampling import job_of, wired_mask
from .wires.limits import refuse_foreign
from .wires.run_inputs import guidance_input, seed_input, share_input, shift_input, steps_input
from .wires.schema import advanced, report_output, schema
from .wires.sockets import NO_EXTRAS, ConditionList, Conditions, Extras, ExtraSettings, Model, ModelHandle
from .wires.tensors import Latent, latent_of, noted, source_of_latent

CUSTOM = "custom"
CHANGES = [*WINDOWS, CUSTOM]


class EditSong(Node):
    """Change what a song says or how it sounds."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "sampling",
            node_id="AceGraphEdit",
            display_name="Edit Song (ACE-Step)",
            description="Gives a finished song other words or another style and keeps its music. It needs two conditions: one that "
            "describes the song as it is, and one as it shall be. Works on turbo, base and sft.",
            search_aliases=["flow edit", "morph", "change lyrics", "restyle", "remix"],
            inputs=[*wires(), *run_widgets(), *window_widgets()],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The edited song, for Oobleck Decode."),
                report_output(),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, what_changes: str | None = None, start: float | None = None, end: float | None = None
    ) -> bool | str:
        return verdict(cls, partial(window_of, draws=1), what_changes=what_changes, start=start, end=end)

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        model: ModelHandle,
        source_conditions: ConditionList,
        target_conditions: ConditionList,
        source: Latent,
        seed: int,
        steps: int,
        guidance: float,
        what_changes: str,
        start: float,
        end: float,
        draws: int = 1,
        shift: float = 0.0,
        context: Latent | None = None,
        mask: Tensor | None = None,
        sigmas: Tensor | None = None,
        extras: ExtraSettings | None = None,
    ) -> io.NodeOutput:
        window = window_of(what_changes, start, end, draws)
        settings = settings_of(steps, guidance, shift, sigmas, extras or NO_EXTRAS)
        played = job_of(model, target_conditions, source, seed, None)
        job = EditJob(
            played.source,
            source_conditions,
            target_conditions,
            played.noise,
            None if context is None else source_of_latent(context, "context", model.silence),
            wired_mask(mask, source, played.frames),
        )
        refuse_foreign(model, (*source_conditions, *target_conditions))
        plan = EditPlan.of(settings, window, model.variant.is_turbo)
        latents = sample_edit(model, job, plan)
        kept = {"batch_index": source["batch_index"]} if "batch_index" in source else {}
        played_with = noted(model.played_with, len(latents))
        return io.NodeOutput(
            {**latent_of(latents), **kept, **played_with}, edit_report(model, job, plan, what_changes)
        )


def wires() -> list[io.Input]:
    """What is connected."""
    return [
        Model.Input("model", tooltip="From Load ACE-Step."),
        Conditions.Input(
            "source_conditions",
            tooltip="The song as it is: Encode Conditions with its own caption and lyrics. Understand can write the caption.",
        ),
        Conditions.Input(
            "target_conditions",
            tooltip="The song as it shall be: the same Encode Conditions once more, with only the words changed that shall change.",
        ),
        io.Latent.Input("source", tooltip="The song itself: Oobleck Encode of it, or the Sampler's latent."),
        io.Latent.Input(
            "context",
            optional=True,
            tooltip="Only for the task cover: the song by way of Audio to Codes and Codes to Latent.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="From Chunk Mask, 1 = may change. Everything else stays as it is. None: the whole song may change.",
        ),
        io.Sigmas.Input(
            "sigmas", optional=True, tooltip="Own times from 1 down to 0, in place of steps and shift."
        ),
        Extras.Input(
            "extras",
            optional=True,
            tooltip="From Sampling Extras. Its filters and its rounding of times count; a wavelet correction is left out.",
        ),
    ]


def run_widgets() -> list[io.Input]:
    """What every run has."""
    return [
        seed_input("Song i of a batch draws its noises from seed + i."),
        steps_input("0: auto (turbo 8, base and sft 60)."),
        guidance_input(
            "How strictly both conditions are followed. 0: auto (turbo 1, base and sft 7); 1: none."
        ),
    ]


def window_widgets() -> list[io.Input]:
    """Where and how both conditions are compared."""
    return [
        io.Combo.Input(
            "what_changes",
            options=CHANGES,
            default="whole",
            tooltip="whole: anything, the first try. words: late steps only, for new lyrics. remix: early steps, then free, for another "
            "style. custom: start and end below.",
        ),
        share_input(
            "start",
            0.0,
            "Only for custom: share of the steps to skip. Higher keeps more of the song; 0: none.",
        ),
        share_input(
            "end",
            1.0,
            "Only for custom: share of the steps after which the target plays on alone. Lower changes more; 1: never.",
        ),
        advanced(
            io.Int.Input(
                "draws",
                default=1,
                min=1,
                max=MOST_DRAWS,
                tooltip="Noises that each step averages over. More is smoother, and as many times slower.",
            )
        ),
        shift_input(
            "Above 1: more steps while it is still noisy, which also moves start and end. 0: auto (3)."
        ),
    ]


def window_of(what_changes: str, start: float, end: float, draws: int) -> EditWindow:
    """The steps in which the song changes."""
    if what_changes == CUSTOM:
        return EditWindow(start, end, draws)
    return EditWindow(WINDOWS[what_changes].start, WINDOWS[what_changes].end, draws)


def settings_of(
    steps: int, guidance: float, shift: float, sigmas: Tensor | None, extras: ExtraSettings
) -> Settings:
    """The sampler's settings as far as an edit has them."""
    return Settings(
        steps=steps,
        shift=shift,
        guidance=guidance,
        times=None if sigmas is None else tuple(sigmas.tolist()),
        bf16_schedule=extras.bf16_schedule,
        filters=extras.filters,
    )
