"""Encoding and decoding songs of any length in tiles; the result is that of one piece.

An output reaches less than ten frames into its input, so a tile that sees `OVERLAP` more on both sides is exact
inside: the overlap is computed and thrown away, never blended.
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
from ..timebase import frames_in, samples_of
from .config import VaeConfig
from .oobleck import Oobleck, Posterior, posterior_of

OVERLAP = 16  # frames on each side
TILE_LADDER = (256, 128, 64, 32)  # frames; a fixed choice, so that a machine repeats its own bytes
LIVE_COPIES = 3  # of the widest activation: a residual unit holds its input, its middle and the next middle
WORKSPACE_BYTES = 450 << 20  # repacked weights of the full-size model, and what allocators keep; measured


@dataclass(frozen=True, slots=True)
class Tile:
    """Frames `start` to `stop` of a song, computed from its frames `first` to `last`."""

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
    starts = range(0, frames, tile_frames)
    ends = [(start, min(start + tile_frames, frames)) for start in starts]
    return [Tile(start, stop, max(0, start - OVERLAP), min(stop + OVERLAP, frames)) for start, stop in ends]


@torch.no_grad()
def decode_tiled(vae: Oobleck, latents: Tensor, tile_frames: int, on_tile: Listener = ignore) -> Tensor:
    """latents: [B, T, D] -> audio [B, C, 1920 T] float32, on the device of the latents."""
    vae.check_latents(latents)
    songs, frames, _ = latents.shape
    audio = torch.empty(songs, vae.config.audio_channels, samples_of(frames), device=latents.device)
    for song, tile in steps(songs, tiles_of(frames, tile_frames), on_tile):
        decoded = vae.decoder(vae.take(latents[song, tile.first : tile.last]))
        core = slice(samples_of(tile.core.start), samples_of(tile.core.stop))
        audio[song, :, samples_of(tile.start) : samples_of(tile.stop)] = rearrange(
            decoded[core], "s c -> c s"
        )
    return audio


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
        posterior = posterior_of(vae.encoder(vae.take(rearrange(window, "c s -> s c")))[tile.core])
        mean[song, tile.start : tile.stop] = posterior.mean
        std[song, tile.start : tile.stop] = posterior.std
    return Posterior(mean, std)


def steps(songs: int, tiles: list[Tile], on_tile: Listener) -> Iterator[tuple[int, Tile]]:
    """Every tile of every song, one song after the other; each is reported once it is done."""
    work = [(song, tile) for song in range(songs) for tile in tiles]
    for done, step in enumerate(work, start=1):
        yield step
        on_tile(done, len(work))


def tile_for(free_bytes: int, config: VaeConfig, dtype: torch.dtype) -> int:
    """The largest tile of the ladder whose activations fit; the smallest where none does."""
    fitting = (tile for tile in TILE_LADDER if activation_bytes(tile, config, dtype) <= free_bytes)
    return next(fitting, TILE_LADDER[-1])


def activation_bytes(tile_frames: int, config: VaeConfig, dtype: torch.dtype) -> int:
    """Memory that encoding or decoding takes beyond weights, input and output, whatever the song's length."""
    window = tile_frames + 2 * OVERLAP
    return WORKSPACE_BYTES + LIVE_COPIES * window * widest_frame(config) * dtype.itemsize


def widest_frame(config: VaeConfig) -> int:
    """Numbers that the widest activation holds for each latent frame."""
    width = max(config.encoder_hidden_size, config.decoder_channels)
    rates = accumulate(reversed(config.downsampling_ratios), mul)  # of the outputs of the decoder's blocks
    multiples = reversed((1, *config.channel_multiples[:-1]))
    return max(rate * multiple * width for rate, multiple in zip(rates, multiples, strict=True))
