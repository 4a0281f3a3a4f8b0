"""The original recording, put back where it was to be kept."""

from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.sampling.repaint import RepaintStrength
from ..acestep_core.sound.audio_file import STEREO, Sound, to_model_rate
from ..acestep_core.sound.splice import splice
from ..acestep_core.timebase import MAX_SECONDS, SAMPLE_RATE, seconds_of
from .host.node import Node
from .wires.schema import FRAME, report_output, schema
from .wires.tensors import Audio, audio_of, carried, mask_of_wire, raw_sound

LONGEST_CROSSFADE = 10.0


class Splice(Node):
    """New music inside the mask, the original's own samples outside."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "audio",
            node_id="AceGraphSplice",
            display_name="Splice (ACE-Step)",
            description="After repaint or extend: takes the new audio inside the mask, and outside the original's own samples, bit for "
            "bit instead of decoded anew. Put it before Save Audio, which sets levels and fades.",
            search_aliases=["crossfade", "lossless repaint", "stitch", "join"],
            inputs=[
                io.Audio.Input("new", tooltip="From Oobleck Decode, as decoded: without level or fades."),
                io.Audio.Input(
                    "original",
                    tooltip="The recording that was encoded. Another sample rate or number of channels is converted first.",
                ),
                io.Mask.Input(
                    "mask", tooltip="The mask that the Sampler had, from Chunk Mask or Extend: 1 = new."
                ),
                io.Float.Input(
                    "crossfade",
                    display_name="crossfade (s)",
                    default=RepaintStrength().seam_seconds,
                    min=0.0,
                    max=LONGEST_CROSSFADE,
                    step=0.005,
                    tooltip="Length of each transition, in seconds; it lies inside the mask, so that nothing outside changes. 0: a hard cut.",
                ),
                io.Float.Input(
                    "offset",
                    display_name="offset (s)",
                    default=0.0,
                    min=-MAX_SECONDS,
                    max=MAX_SECONDS,
                    step=FRAME,
                    tooltip="Where in the new song the original begins, in seconds: after Extend, the seconds added before it. "
                    "Below 0: so much of the original's head is left out.",
                ),
            ],
            outputs=[
                io.Audio.Output(display_name="audio", tooltip="For Save Audio: 48 kHz stereo."),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, new: Audio, original: Audio, mask: Tensor, crossfade: float, offset: float
    ) -> io.NodeOutput:
        song, report = converted(raw_sound(new), "new audio")
        kept, changes = converted(raw_sound(original), "original")
        frames = mask_of_wire(mask, mask.shape[-1])
        joined = splice(song, kept, frames, crossfade, offset)
        share = float((frames > 0.5).float().mean())
        length = seconds_of(frames.shape[-1])
        report += [
            *changes,
            f"{share * length:.2f} s of {length:.2f} s are new, the rest is the original; crossfades of {crossfade:g} s.",
        ]
        return io.NodeOutput({**audio_of(joined), **carried(new)}, "\n".join(report))


def converted(sound: Sound, name: str) -> tuple[Tensor, list[str]]:
    """[B, 2, S] at 48 kHz, and what was done for that; a sound that already is so stays bit for bit."""
    if sound.sample_rate == SAMPLE_RATE and sound.samples.shape[1] == STEREO:
        return sound.samples, []
    model = to_model_rate(sound)
    return model.samples, [f"The {name}: {', '.join(model.changes)}."]
