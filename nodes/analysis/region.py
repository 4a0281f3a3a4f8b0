"""A part of a song, drawn where it is heard."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...acestep_core.errors import InvalidAudioError
from ...acestep_core.sampling.masks import chunk_mask
from ...acestep_core.sampling.regions import chosen, cut_off, marked, samples_around
from ...acestep_core.sound.audio_file import FORMATS, STEREO, AudioFormat, encode_audio
from ...acestep_core.sound.beats import Tempo, tempo_of
from ...acestep_core.sound.levels import FULL_SCALE
from ...acestep_core.sound.peaks import peaks_of
from ...acestep_core.sound.resample import resample
from ...acestep_core.timebase import SAMPLE_RATE, FrameSpan, frames_in
from ..host.output_files import kept_in_temp
from ..host.runtime import Bar
from ..host.tensor_values import refuse_too_long
from ..wires.part_inputs import PartsNode, end_input, fade_input, regions_input, start_input
from ..wires.schema import FRAME, report_output, schema
from ..wires.tensors import Audio, mask_to_wire, raw_sound

SHORT = FORMATS["FLAC 16-bit"]
LONG = FORMATS["Opus 96 kbit/s"]
LONG_SECONDS = 240  # from which on a listening copy is lossy
MOST_SHOWN = 16  # songs of a batch that are drawn
FASTEST = 300.0  # beats per minute
NAME_BYTES = 16


class Region(PartsNode):
    """Choose parts of a song on its wave."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "audio",
            node_id="AceGraphRegion",
            display_name="Region (ACE-Step)",
            description="Shows a song as a wave on which you draw the parts to generate, and hands on a mask of them. It reads a "
            "recording before any run, and after one every other sound. Drag to draw, with Shift for one more; Space plays exactly "
            "that part.",
            search_aliases=["waveform", "repaint", "select", "time mask", "part of a song", "trim", "beats"],
            is_output_node=True,
            inputs=[
                io.Audio.Input(
                    "audio",
                    tooltip="From Load Audio, Oobleck Decode or any other audio node; up to 10 minutes.",
                ),
                start_input(),
                end_input(),
                fade_input(),
                io.Float.Input(
                    "bpm",
                    default=0.0,
                    min=0.0,
                    max=FASTEST,
                    step=0.1,
                    tooltip="Beats per minute, to which regions snap. 0: estimated in a run, where the beat is clear.",
                ),
                regions_input(),
            ],
            outputs=[
                io.Audio.Output(display_name="audio", tooltip="The audio as it came in."),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="For the Sampler, Edit Song and Splice: 1 = generate, 25 per second, as long as Oobleck Encode's latent.",
                ),
                report_output(),
                io.Audio.Output(
                    display_name="part",
                    tooltip="The audio from the first start to the last end, such as a song without its fade-out, for Extend.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, audio: Audio, start: float, end: float, fade: float, bpm: float, regions: str = ""
    ) -> io.NodeOutput:
        sound = raw_sound(audio)
        length, rate = sound.samples.shape[-1], sound.sample_rate
        frames = frames_in(-(-length * SAMPLE_RATE // rate))
        if frames == 0:
            raise InvalidAudioError(
                f"The audio lasts {length / rate:.3f} s, less than one latent frame of {FRAME} s.",
                "Choose a longer recording, or trim less of it.",
            )
        refuse_too_long(frames, "audio")
        parts = chosen(regions, start, end, frames)
        mask = mask_to_wire(chunk_mask(parts, frames, fade))
        bar, waves = Bar(len(sound.samples)), list[dict[str, Any]]()
        for item, song in enumerate(sound.samples[:MOST_SHOWN]):
            bar.move(item, len(sound.samples))
            waves.append(shown(song, rate, bpm))
        bar.move(1, 1)
        return io.NodeOutput(
            audio,
            mask,
            report_of(parts, frames, regions, end, bpm, waves),
            cut(audio, samples_around(parts, frames, length, rate)),
            ui={"acegraph_wave": waves},
        )


def cut(audio: Audio, kept: slice) -> Audio:
    """These samples of every song; the very same audio where they are all of it."""
    part = audio["waveform"][..., kept]
    return audio if part.shape == audio["waveform"].shape else {**audio, "waveform": part}


def shown(song: Tensor, rate: int, bpm: float) -> dict[str, Any]:
    """What the browser draws and plays of [C, S], in files of the temp folder that are named after its samples."""
    marks = hashlib.blake2b(song.contiguous().numpy().data, digest_size=NAME_BYTES)
    marks.update(f"{rate} {tuple(song.shape)}".encode())
    name = f"acegraph_region_{marks.hexdigest()}"
    form = SHORT if song.shape[-1] <= LONG_SECONDS * rate else LONG
    tempo = tempo_of(song, rate)
    return {
        "wave": in_temp(kept_in_temp(f"{name}.peaks", partial(peaks_of, song, rate))),
        "sound": in_temp(kept_in_temp(f"{name}{form.extension}", partial(listening_copy, song, rate, form))),
        "seconds": song.shape[-1] / rate,
        "rate": rate,
        "channels": len(song),
        "beats": beats_of(tempo, bpm),
        "sections": [],
        "fingerprint": marks.hexdigest(),
    }


def in_temp(name: str) -> dict[str, str]:
    """Where the browser asks for it."""
    return {"filename": name, "subfolder": "", "type": "temp"}


def listening_copy(song: Tensor, rate: int, form: AudioFormat) -> memoryview:
    """[C, S] as a browser plays it: at most two channels, quieter where it would clip."""
    song = FULL_SCALE.apply(song[None, :STEREO])[0]
    rates = form.rates or (rate,)
    return encode_audio(resample(song, rate, rates[-1]), rates[-1], form)


def beats_of(tempo: Tempo | None, bpm: float) -> dict[str, Any] | None:
    """The grid that regions snap to; the first beat is where it was heard."""
    if not bpm and tempo is None:
        return None
    phase = tempo.phase if tempo else 0.0
    return {"bpm": bpm or (tempo.bpm if tempo else 0.0), "phase": phase, "estimated": not bpm}


def report_of(
    parts: Sequence[FrameSpan],
    frames: int,
    regions: str,
    end: float,
    bpm: float,
    waves: Sequence[dict[str, Any]],
) -> str:
    """What was chosen, in words."""
    lines = [marked(parts, frames), *cut_off(regions, end, frames)]
    if regions.strip(" ,"):
        lines.append("The line of regions counts; start and end are not used.")
    beats = waves[0]["beats"]
    if not bpm:
        lines.append(
            f"Tempo: about {beats['bpm']:.1f} bpm, estimated." if beats else "No clear tempo was found."
        )
    return "\n".join(lines)
