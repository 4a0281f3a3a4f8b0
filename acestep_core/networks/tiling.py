"""Encoding and decoding songs of any length in tiles; the result is that of one piece.

An output reaches less than ten frames into its input, so a tile that sees `OVERLAP` more on both sides is exact
inside: the overlap is computed and thrown away, never blended.

The fine blocks of the VAE, where a frame becomes 1920 samples, hold most of its memory and reach a quarter of a frame. So
a tile's coarse blocks run at once, and on a CPU its fine ones piece by piece, small enough for the caches; by the same
rule, and of the tile's overlap they see nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

import torch
from einops import rearrange
from torch import Tensor

from ..errors import InvalidInputError
from ..interface import Listener, ignore
from ..timebase import SAMPLES_PER_FRAME, frames_in, samples_of
from .config import VaeConfig
from .oobleck import FINE_BLOCKS, Oobleck, Posterior, posterior_of

OVERLAP = 16  # frames on each side
TILE_LADDER = (256, 128, 64, 32)  # frames; a fixed choice, so that a machine repeats its own bytes
# On each side of a piece, in steps: what lies between coarse and fine blocks, 60 to a frame.
STEP_OVERLAP = 16
CPU_PIECE = 16  # frames whose fine blocks run at once; other devices take a whole tile
LIVE_COPIES = 3  # of the widest activation: a residual unit holds its input, its middle and the next middle
WORKSPACE_BYTES = 450 << 20  # repacked weights of the full-size model, and what allocators keep; measured ...
CPU_WORKSPACE_BYTES = (
    200 << 20
)  # ... where activations are so small that allocators can use their places again


@dataclass(frozen=True, slots=True)
class Tile:
    """Frames, or steps, `start` to `stop` of a sequence, computed from those between `first` and `last`."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def core(self) -> slice:
        """Where the tile's own frames lie in what is computed."""
        return slice(self.start - self.first, self.stop - self.first)


def tiles_of(frames: int, tile_frames: int) -> list[Tile]:
    """Cut a song into tiles, each with as much overlap as the song has."""
    if tile_frames < 1:
        raise InvalidInputError(
            f"A tile of {tile_frames} frames holds nothing.",
            f"Choose a tile size of {TILE_LADDER[-1]} frames or more.",
        )
    return cut(slice(0, frames), frames, tile_frames, OVERLAP)


def cut(part: slice, whole: int, size: int, overlap: int) -> list[Tile]:
    """Cut a part of a sequence into tiles, each with as much overlap as the whole sequence has."""
    ends = [(start, min(start + size, part.stop)) for start in range(part.start, part.stop, size)]
    return [Tile(start, stop, max(0, start - overlap), min(stop + overlap, whole)) for start, stop in ends]


def pieces_of(vae: Oobleck, part: slice, whole: int) -> list[Tile]:
    """Cut a part of a tile's steps into what the fine blocks take at once."""
    on_cpu = vae.decoder.conv1.weight.device.type == "cpu"
    return cut(part, whole, CPU_PIECE * vae.steps_per_frame if on_cpu else whole, STEP_OVERLAP)


@torch.no_grad()
def decode_tiled(vae: Oobleck, latents: Tensor, tile_frames: int, on_tile: Listener = ignore) -> Tensor:
    """latents: [B, T, D] -> audio [B, C, 1920 T] float32, on the device of the latents."""
    vae.check_latents(latents)
    songs, frames, _ = latents.shape
    audio = torch.empty(songs, vae.config.audio_channels, samples_of(frames), device=latents.device)
    for song, tile in steps(songs, tiles_of(frames, tile_frames), on_tile):
        window = vae.take(latents[song, tile.first : tile.last])
        decode_into(audio[song, :, samples_of(tile.start) : samples_of(tile.stop)], vae, window, tile.core)
    return audio


def decode_into(audio: Tensor, vae: Oobleck, window: Tensor, core: slice) -> None:
    """Write the sound [C, 1920 T] of the T frames `core` of a window of latents [W, D]."""
    hidden, rate = vae.decoder.coarse(window), vae.steps_per_frame
    samples, start = SAMPLES_PER_FRAME // rate, core.start * rate
    for piece in pieces_of(vae, slice(start, core.stop * rate), len(hidden)):
        sound = vae.decoder.fine(hidden[piece.first : piece.last])
        own = sound[piece.core.start * samples : piece.core.stop * samples]
        audio[:, (piece.start - start) * samples : (piece.stop - start) * samples] = rearrange(
            own, "s c -> c s"
        )


@torch.no_grad()
def encode_tiled(vae: Oobleck, audio: Tensor, tile_frames: int, on_tile: Listener = ignore) -> Posterior:
    """audio: [B, C, S] -> frames [B, floor(S / 1920), D], on the device of the audio.

    The whole posterior comes back, so that a sample of it does not depend on the tiles.
    """
    vae.check_audio(audio)
    songs, _, samples = audio.shape
    frames, depth = frames_in(samples), vae.config.decoder_input_channels
    mean = torch.empty(songs, frames, depth, device=audio.device)
    std = torch.empty_like(mean)
    for song, tile in steps(songs, tiles_of(frames, tile_frames), on_tile):
        stop = samples if tile.last == frames else samples_of(tile.last)
        window = audio[song, :, samples_of(tile.first) : stop]
        posterior = posterior_of(vae.encoder.coarse_(finely_encoded(vae, window))[tile.core])
        mean[song, tile.start : tile.stop] = posterior.mean
        std[song, tile.start : tile.stop] = posterior.std
    return Posterior(mean, std)


def finely_encoded(vae: Oobleck, window: Tensor) -> Tensor:
    """Sound [C, S] -> the steps [N, W] that the encoder's coarse blocks take."""
    samples = SAMPLES_PER_FRAME // vae.steps_per_frame
    length, found = window.shape[-1] // samples, list[Tensor]()
    for piece in pieces_of(vae, slice(0, length), length):
        stop = window.shape[-1] if piece.last == length else piece.last * samples
        sound = vae.take(rearrange(window[:, piece.first * samples : stop], "c s -> s c"))
        found.append(vae.encoder.fine(sound)[piece.core])
    return torch.cat(found)


def steps(songs: int, tiles: list[Tile], on_tile: Listener) -> Iterator[tuple[int, Tile]]:
    """Every tile of every song, one song after the other; each is reported once it is done."""
    work = [(song, tile) for song in range(songs) for tile in tiles]
    for done, step in enumerate(work, start=1):
        yield step
        on_tile(done, len(work))


def tile_for(
    free_bytes: int, config: VaeConfig, dtype: torch.dtype, device: torch.device | None = None
) -> int:
    """The largest tile of the ladder whose activations fit; the smallest where none does."""
    fitting = (tile for tile in TILE_LADDER if activation_bytes(tile, config, dtype, device) <= free_bytes)
    return next(fitting, TILE_LADDER[-1])


def activation_bytes(
    tile_frames: int, config: VaeConfig, dtype: torch.dtype, device: torch.device | None = None
) -> int:
    """Memory that encoding or decoding takes beyond weights, input and output, whatever the song's length.

    device: where; None: anywhere but on a CPU, which takes tiles in pieces.
    """
    coarse, fine = widest_frames(config)
    on_cpu = device is not None and device.type == "cpu"
    window, piece = tile_frames + 2 * OVERLAP, min(CPU_PIECE, tile_frames) if on_cpu else tile_frames
    coarsely, finely = LIVE_COPIES * window * coarse, window * coarse + LIVE_COPIES * (piece + 1) * fine
    workspace = CPU_WORKSPACE_BYTES if on_cpu else WORKSPACE_BYTES
    return workspace + max(coarsely, finely) * dtype.itemsize


def widest_frames(config: VaeConfig) -> tuple[int, int]:
    """Numbers that the widest activation of the coarse blocks holds for each latent frame, and of the fine ones."""
    width = max(config.encoder_hidden_size, config.decoder_channels)
    rates = accumulate(reversed(config.downsampling_ratios), mul)  # of the outputs of the decoder's blocks
    multiples = reversed((1, *config.channel_multiples[:-1]))
    numbers = [rate * multiple * width for rate, multiple in zip(rates, multiples, strict=True)]
    return max(numbers[:-FINE_BLOCKS]), max(numbers[-FINE_BLOCKS:])
