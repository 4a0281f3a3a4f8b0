"""Songs before they are played: silence, spans to generate, room to extend into, noise to start from."""

from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.sampling.context import extended, require_room
from ..acestep_core.sampling.masks import chunk_mask, drawn_mask
from ..acestep_core.sampling.noise import NoisePlan
from ..acestep_core.sampling.regions import chosen, cut_off, marked
from ..acestep_core.text.code_text import MAX_SONGS
from ..acestep_core.timebase import MAX_SECONDS, frames_of
from .host.node import Node, verdict
from .host.tensor_values import refuse_too_long
from .wires.limits import batch_indices
from .wires.part_inputs import PartsNode, end_input, fade_input, regions_input, start_input
from .wires.run_inputs import share_input
from .wires.schema import FRAME, SEED_MAX, report_output, schema
from .wires.sockets import Model, ModelHandle, Noise, NoiseChoice
from .wires.tensors import Latent, frames_of_latent, latent_of, mask_to_wire, source_of_latent

ONE_SONG, EACH_SONG = "one song", "each song"


class SilenceLatent(Node):
    """A song in which nothing plays yet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "latent",
            node_id="AceGraphSilenceLatent",
            display_name="Silence Latent (ACE-Step)",
            description="Silence of a length that you choose: the source for text to music. It sets how long the song will be "
            "and how many songs are made at once.",
            search_aliases=["empty latent audio", "duration", "length", "song", "acestep"],
            inputs=[
                Model.Input(
                    "model", tooltip="From Load ACE-Step; its silence is used, which is not all zeros."
                ),
                io.Float.Input(
                    "seconds",
                    display_name="length (s)",
                    default=30.0,
                    min=FRAME,
                    max=MAX_SECONDS,
                    step=FRAME,
                    tooltip="Length of the song in seconds, in steps of one latent frame. The model plays up to 10 minutes.",
                ),
                io.Int.Input(
                    "batch_size",
                    display_name="songs",
                    default=1,
                    min=1,
                    max=MAX_SONGS,
                    tooltip="Songs made at once, each from a seed of its own. Memory and time grow with it.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="For the Sampler's source.")],
        )

    @classmethod
    def execute(cls, model: ModelHandle, seconds: float, batch_size: int) -> io.NodeOutput:
        frames = frames_of(seconds)
        return io.NodeOutput(latent_of(model.silence.frames(frames).repeat(batch_size, 1, 1)))


class ChunkMask(PartsNode):
    """Mark the part of a song to generate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "latent",
            node_id="AceGraphChunkMask",
            display_name="Chunk Mask (ACE-Step)",
            description="Marks the seconds to generate; everything else is kept. For repaint, and for lego in a region. "
            "ComfyUI's Invert Mask and Mask Composite work on the result.",
            search_aliases=["repaint", "inpaint", "region", "time mask", "part of a song"],
            inputs=[
                io.Latent.Input("latent", tooltip="Latent of the song; it sets the length of the mask."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="A mask of any size, drawn or from another node, stretched over the whole song from left to right; "
                    "a column counts as bright as its brightest pixel. Start and end then limit it. None: all from start to end.",
                ),
                start_input(),
                end_input(),
                fade_input(),
                regions_input(),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask",
                    tooltip="For the Sampler and for Splice: 1 = generate, 25 per second.",
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        latent: Latent,
        start: float,
        end: float,
        fade: float,
        mask: Tensor | None = None,
        regions: str = "",
    ) -> io.NodeOutput:
        frames = frames_of_latent(latent, "latent").shape[1]
        shape = None if mask is None else drawn_mask(mask.cpu(), frames)
        parts = chosen(regions, start, end, frames)
        report = [marked(parts, frames), *cut_off(regions, end, frames)]
        if mask is not None:
            report.append("Within it counts what the mask marks.")
        return io.NodeOutput(mask_to_wire(chunk_mask(parts, frames, fade, shape)), "\n".join(report))


class Extend(Node):
    """Make room before and after a song."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "latent",
            node_id="AceGraphExtend",
            display_name="Extend (ACE-Step)",
            description="Adds silence before and after a song, and marks it as the part to generate. Wire both outputs into the "
            "Sampler and the latent into Encode Conditions, with the task extend.",
            search_aliases=["outpaint", "continue", "longer"],
            inputs=[
                Model.Input("model", tooltip="From Load ACE-Step; its silence is added."),
                io.Latent.Input(
                    "latent", tooltip="The song to extend, from Oobleck Encode or from a Sampler."
                ),
                io.Float.Input(
                    "before",
                    display_name="before (s)",
                    default=0.0,
                    min=0.0,
                    max=MAX_SECONDS,
                    step=FRAME,
                    tooltip="Seconds of new music before the song. Splice needs the same number as its offset.",
                ),
                io.Float.Input(
                    "after",
                    display_name="after (s)",
                    default=10.0,
                    min=0.0,
                    max=MAX_SECONDS,
                    step=FRAME,
                    tooltip="Seconds of new music after the song. Old and new together last up to 10 minutes.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The longer song: for the Sampler's source and Encode Conditions.",
                ),
                io.Mask.Output(
                    display_name="mask", tooltip="1 on what was added: for the Sampler and for Splice."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, before: float | None = None, after: float | None = None) -> bool | str:
        return verdict(cls, added_frames, before=before, after=after)

    @classmethod
    def execute(cls, model: ModelHandle, latent: Latent, before: float, after: float) -> io.NodeOutput:
        frames = source_of_latent(latent, "latent", model.silence)
        left, right = added_frames(before, after)
        refuse_too_long(left + frames.shape[1] + right, "extended song")
        longer, mask = extended(frames, left, right, model.silence)
        return io.NodeOutput({**latent_of(longer), **batch_indices(latent)}, mask_to_wire(mask[:1]))


class Retake(Node):
    """Choose the noise that songs start from."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "latent",
            node_id="AceGraphRetake",
            display_name="Retake (ACE-Step)",
            description="Plays a song again, a little or entirely different: its noise is turned towards that of another seed. "
            "Replaces the Sampler's seed.",
            search_aliases=["variation", "seed", "noise", "variation seed"],
            inputs=[
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The Sampler's source: sets the number of songs, and which of a larger batch they are. None: as set below.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=SEED_MAX,
                    control_after_generate=False,
                    tooltip="Seed of the song that you like, as its Sampler had it.",
                ),
                io.Int.Input(
                    "retake_seed",
                    default=1,
                    min=0,
                    max=SEED_MAX,
                    control_after_generate=True,
                    tooltip="Seed of the other noise. Song i of a batch uses retake_seed + i.",
                ),
                share_input(
                    "variation",
                    0.2,
                    "0: the same song again; 1: a song of the retake seed; between: as far away as you like.",
                ),
                io.Int.Input(
                    "songs",
                    default=1,
                    min=1,
                    max=MAX_SONGS,
                    tooltip="Number of songs in the Sampler's batch. A wired latent overrides it.",
                ),
                io.Boolean.Input(
                    "each_song",
                    display_name="batch",
                    default=False,
                    label_on=EACH_SONG,
                    label_off=ONE_SONG,
                    tooltip=f"{ONE_SONG}: all songs of the batch vary the song of the seed. "
                    f"{EACH_SONG}: song i varies the song of seed + i, for a batch that was made at once.",
                ),
            ],
            outputs=[Noise.Output(display_name="noise", tooltip="For the Sampler.")],
        )

    @classmethod
    def execute(
        cls,
        seed: int,
        retake_seed: int,
        variation: float,
        songs: int,
        each_song: bool,
        latent: Latent | None = None,
    ) -> io.NodeOutput:
        numbers = range(songs)
        if latent is not None:
            count = len(frames_of_latent(latent, "latent"))
            numbers = batch_indices(latent).get("batch_index", range(count))
        seeds = tuple(seed + number if each_song else seed for number in numbers)
        retakes = tuple(retake_seed + number for number in numbers)
        return io.NodeOutput(NoiseChoice(NoisePlan(seeds, retakes, variation)))


def added_frames(before: float, after: float) -> tuple[int, int]:
    """Frames to add at either end; refused when there are none."""
    left, right = frames_of(before), frames_of(after)
    require_room(left, right)
    return left, right
