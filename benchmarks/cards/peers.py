"""Diffusers beside us on the same weights, where it is installed: the evaluations and the decoder."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec

import torch

from acestep_core.networks.tiling import TILE_LADDER, decode_tiled
from acestep_core.timebase import frames_of
from benchmarks.bench_dit import EQUAL, Item, evaluations
from benchmarks.bench_vae import their_decode
from benchmarks.cards.equal import BF16_SOUND, FP32, compared
from benchmarks.cards.sizes import REAL, Sizes
from benchmarks.full_size import distance, transformers
from benchmarks.harness import Row, device, race
from support.reference.vae import oobleck_of, randomise, reference

GATES = {30.0: (1.5, 2.5), 240.0: (1.3, 2.0)}  # seconds of an evaluation: gate and goal
DECODE_GATE, DECODE_GOAL = 1.5, 3.0


def are_here() -> bool:
    """Whether there is anybody to run against."""
    return find_spec("diffusers") is not None


@torch.inference_mode()
def rows(sizes: Sizes, quick: bool) -> Iterator[Row]:
    """The evaluations at each length, then the decoder; real sizes have the gates."""
    word = "bf16" if sizes.dtype is torch.bfloat16 else "fp32"
    theirs, ours = transformers(sizes.config, sizes.dtype)
    for number, seconds in enumerate(sizes.evaluated):
        for guided in (False, True)[: 2 - min(number, 1)]:
            gate, goal = GATES[seconds] if sizes is REAL else (None, None)
            item = Item(seconds, word, guided, gate or 0, goal or 0)
            mine, other = evaluations(item, theirs, ours, sizes.tokens)
            name = f"evaluation, {seconds:g} s{', guided' if guided else ''}, against diffusers"
            yield compared(name, distance(mine(), other()), EQUAL[word])
            yield Row.of_race(name, race(mine, other, quick), gate, goal)
    del theirs, ours
    yield from decode_rows(sizes, quick)


def decode_rows(sizes: Sizes, quick: bool) -> Iterator[Row]:
    """Their decoder takes the song in one piece, ours in tiles."""
    theirs = randomise(reference(sizes.peer_vae))
    ours = oobleck_of(theirs.state_dict(), sizes.peer_vae, sizes.dtype).to(device())
    theirs = theirs.to(device(), sizes.dtype)
    seconds = sizes.coded[0]
    latents = torch.randn(1, frames_of(seconds), sizes.peer_vae.decoder_input_channels, device=device())
    mine = partial(decode_tiled, ours, latents, TILE_LADDER[0])
    other = partial(their_decode, theirs, latents)
    name = f"decode, {seconds:g} s, against diffusers"
    allowed = FP32 if sizes.dtype is torch.float32 else BF16_SOUND
    yield compared(name, distance(mine(), other()), allowed)
    gate, goal = (DECODE_GATE, DECODE_GOAL) if sizes is REAL else (None, None)
    yield Row.of_race(name, race(mine, other, quick), gate, goal)
