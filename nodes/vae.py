"""Sound to latents and back."""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.errors import InvalidAudioError, is_full
from ..acestep_core.interface import AUTO
from ..acestep_core.networks.oobleck import Oobleck, Posterior
from ..acestep_core.networks.tiling import TILE_LADDER, activation_bytes, decode_tiled, encode_tiled, tile_for
from ..acestep_core.seeds import generator_of
from ..acestep_core.sound.levels import peak_of
from ..acestep_core.sound.reference_audio import timbre_excerpt
from ..acestep_core.timebase import SAMPLE_RATE, frames_in, samples_of, seconds_of
from .host.kernels import note_lost
from .host.node import Node
from .host.runtime import free_bytes, tile_listener
from .host.tensor_values import refuse_too_long, refuse_too_many
from .wires.schema import FRAME, SEED_MAX, advanced, report_output, schema
from .wires.sockets import Vae, VaeHandle
from .wires.tensors import Audio, Latent, audio_of, carried, frames_of_latent, latent_of, sound_of_audio

TILES = [AUTO, *map(str, TILE_LADDER)]
EVEN, RANDOM = "even", "random"

Result = TypeVar("Result")


class OobleckEncode(Node):
    """Sound to latent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "audio",
            node_id="AceGraphOobleckEncode",
            display_name="Oobleck Encode (ACE-Step)",
            description="Turns audio into a latent: the source for covers, repaint, extend and stems. Any rate and channel count is "
            "converted to 48 kHz stereo first. Every item of a batch becomes a song.",
            search_aliases=["vae encode audio"],
            inputs=[
                Vae.Input("vae", tooltip="From Load ACE-Step."),
                io.Audio.Input("audio", tooltip="From Load Audio or any other audio node; up to 10 minutes."),
                advanced(
                    io.Boolean.Input(
                        "sample",
                        default=False,
                        tooltip="Draw the latent from what the encoder thinks possible, as in training, instead of taking its mean. "
                        "The difference is hardly audible.",
                    )
                ),
                advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=SEED_MAX,
                        control_after_generate=False,
                        tooltip="Only when sampling; song i of a batch uses seed + i.",
                    )
                ),
                tile_input(),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent", tooltip="For the Sampler, Chunk Mask, Extend or Audio to Codes."
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, vae: VaeHandle, audio: Audio, sample: bool = False, seed: int = 0, tile: str = AUTO
    ) -> io.NodeOutput:
        refuse_too_long_sound(audio)
        samples, changes = sound_of_audio(audio)
        length, frames = samples.shape[-1], frames_in(samples.shape[-1])
        if frames == 0:
            raise InvalidAudioError(
                f"The audio lasts {length / SAMPLE_RATE:.3f} s, less than one latent frame of {FRAME} s.",
                "Choose a longer recording, or trim less of it.",
            )
        posterior, tiles = encoded(vae, samples, tile)
        latents = sampled(posterior, seed) if sample else posterior.mean
        rest = length - samples_of(frames)
        left = [f"The last {rest / SAMPLE_RATE:.3f} s make no whole frame and are left out."] if rest else []
        size = f"Encoded {len(latents)} x {seconds_of(frames):g} s{f', sampled with seed {seed}' if sample else ''}."
        return io.NodeOutput(latent_of(latents), "\n".join([size, *sentences(changes), *left, *tiles]))


class OobleckDecode(Node):
    """Latent to sound."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "audio",
            node_id="AceGraphOobleckDecode",
            display_name="Oobleck Decode (ACE-Step)",
            description="Turns a latent into 48 kHz stereo audio, at the level that the model gives it; Save Audio and Preview Audio "
            "(ACE-Step) bring it to full level.",
            search_aliases=["vae decode audio"],
            inputs=[
                Vae.Input("vae", tooltip="From Load ACE-Step."),
                io.Latent.Input("latent", tooltip="From the Sampler, or any other latent of ACE-Step 1.5."),
                tile_input(),
            ],
            outputs=[
                io.Audio.Output(display_name="audio", tooltip="For Save Audio, Preview Audio or Splice."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, vae: VaeHandle, latent: Latent, tile: str = AUTO) -> io.NodeOutput:
        config = oobleck_of(vae).config
        frames = frames_of_latent(latent, "latent", config.decoder_input_channels).cpu()
        size = f"Decoded {len(frames)} x {seconds_of(frames.shape[1]):g} s"
        empty = [item for item, song in enumerate(frames) if not song.any()]
        told = ["Songs of zeros only count as silence."] if empty else []
        if len(empty) == len(frames):
            audio = torch.zeros(len(frames), config.audio_channels, samples_of(frames.shape[1]))
        else:
            audio, tiles = in_tiles(
                vae, tile, lambda oobleck, size: decode_tiled(oobleck, frames, size, tile_listener())
            )
            audio[empty] = 0
            told += tiles
        peaks = ", ".join(f"{peak:.3g}" for peak in peak_of(audio).flatten().tolist())
        return io.NodeOutput(
            {**audio_of(audio), **carried(latent)}, "\n".join([f"{size}.", f"Peak: {peaks}.", *told])
        )


class ReferenceTimbre(Node):
    """The sound of a recording, for a song to take on."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "audio",
            node_id="AceGraphReferenceTimbre",
            display_name="Reference Timbre (ACE-Step)",
            description="Takes thirty seconds out of a recording, ten of each third, whose voices and instruments the song shall "
            "sound like. Several recordings in one audio batch are several references.",
            search_aliases=["reference audio", "style", "voice"],
            inputs=[
                Vae.Input("vae", tooltip="From Load ACE-Step."),
                io.Audio.Input(
                    "audio",
                    tooltip="The recording, of any length; a short one is repeated. Silence is refused.",
                ),
                io.Combo.Input(
                    "excerpt",
                    options=[EVEN, RANDOM],
                    default=EVEN,
                    tooltip="even: from the very start, the middle and the very end. random: the seed places each piece in its third.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=SEED_MAX,
                    control_after_generate=False,
                    tooltip="Only for random; recording i of a batch uses seed + i.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="timbre", tooltip="For Encode Conditions."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, vae: VaeHandle, audio: Audio, excerpt: str = EVEN, seed: int = 0) -> io.NodeOutput:
        at_random = excerpt == RANDOM
        samples, changes = sound_of_audio(audio)
        pieces = timbre_excerpt(samples, seed if at_random else None)
        posterior, tiles = encoded(vae, pieces, AUTO)
        wholes = seconds_of(frames_in(samples.shape[-1]))
        how = f"placed by seed {seed}" if at_random else "at the start, in the middle and at the end"
        size = f"References: {len(pieces)}, each three pieces of ten seconds out of {wholes:g} s, {how}."
        return io.NodeOutput(latent_of(posterior.mean), "\n".join([size, *sentences(changes), *tiles]))


def refuse_too_long_sound(audio: Audio) -> None:
    """Refuse songs that the model cannot play, before anything is converted."""
    waveform, rate = audio["waveform"], int(audio["sample_rate"])
    refuse_too_many(len(waveform) if waveform.ndim == 3 else 1, "The audio")
    refuse_too_long(frames_in(waveform.shape[-1] * SAMPLE_RATE // rate), "audio")


def tile_input() -> io.Combo.Input:
    """The picker of a tile size."""
    return advanced(
        io.Combo.Input(
            "tile",
            options=TILES,
            default=AUTO,
            tooltip="Latent frames that are computed at a time; 25 are a second. Smaller needs less memory and is a little slower; "
            "it sounds the same. auto: the largest that memory allows.",
        )
    )


def oobleck_of(handle: VaeHandle) -> Oobleck:
    """The network, wherever its weights are now."""
    return cast(Oobleck, handle.vae.network)


def in_tiles(handle: VaeHandle, tile: str, run: Callable[[Oobleck, int], Result]) -> tuple[Result, list[str]]:
    """What `run` makes with the largest tile that memory suffices for, and that tile in words. tile: a choice of TILES."""
    config, dtype = oobleck_of(handle).config, handle.vae.dtype
    first = TILE_LADDER[0] if tile == AUTO else int(tile)
    with handle.vae.at_work(activation_bytes(first, config, dtype, handle.vae.device)) as oobleck:
        if tile == AUTO:
            first = tile_for(free_bytes(handle.vae.device), config, dtype, handle.vae.device)
        *larger, smallest = [size for size in TILE_LADDER if size <= first]
        for size in larger:
            try:
                return run(oobleck, size), tile_remark(first, size)
            except (
                RuntimeError,
                MemoryError,
            ) as fault:  # what the failed tile held is free once this clause has ended
                if not is_full(fault):
                    raise
                note_lost(fault)
        return run(oobleck, smallest), tile_remark(first, smallest)


def tile_remark(first: int, used: int) -> list[str]:
    """The tile size in words."""
    short = f"Memory was too short for tiles of {first} frames. " if used != first else ""
    return [f"{short}Tiles of {used} frames."]


def encoded(handle: VaeHandle, samples: Tensor, tile: str) -> tuple[Posterior, list[str]]:
    """[B, 2, S] at 48 kHz through the encoder, and the tile size in words."""
    return in_tiles(handle, tile, lambda oobleck, size: encode_tiled(oobleck, samples, size, tile_listener()))


def sampled(posterior: Posterior, seed: int) -> Tensor:
    """A latent of each song, drawn alone, so that it does not depend on its neighbours."""
    songs = zip(posterior.mean, posterior.std, strict=True)
    return torch.stack(
        [Posterior(*song).sample(generator_of(seed + item)) for item, song in enumerate(songs)]
    )


def sentences(changes: tuple[str, ...]) -> list[str]:
    """What was converted."""
    return [f"{change[0].upper()}{change[1:]}." for change in changes]
