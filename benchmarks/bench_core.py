"""ComfyUI's own ACE-Step 1.5 nodes against ours on the same weights: `make bench BENCH=core COMFYUI_DIR=...`.

Equal are the transformer, the decoder and the planner. Their conditions are not: their encoders know no windows, they
write the prompt otherwise, and they encode in every step, which is theirs and counts as such. So songs are compared in
time alone.
"""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor

from acestep_core.networks.recorded import evaluate
from acestep_core.networks.tiling import decode_tiled
from acestep_core.planner.decoding import Decoder
from acestep_core.timebase import frames_of
from benchmarks.bench_planner import PUBLISHED, composed, prompts
from benchmarks.bench_song import BRIEF, TILE
from benchmarks.cards.networks import MOMENT, Question
from benchmarks.cards.sizes import Sizes
from benchmarks.core_nodes import install, sides
from benchmarks.core_nodes.sides import Sides
from benchmarks.full_size import distance
from benchmarks.harness import Row, device, race

SECONDS, QUICK_SECONDS = (30.0, 240.0), (10.0,)
DECODED, QUICK_DECODED = 10.0, 1.0
CODES, QUICK_CODES = 32, 4
TEXT, LYRICS = 256, 512  # tokens
EQUAL = {torch.float32: 1e-4, torch.bfloat16: 3e-2}  # relative to theirs
EQUAL_SOUND = {torch.float32: 1e-3, torch.bfloat16: 0.3}
GATE, GOAL = 2.0, 2.3  # of a step of 30 s


def run(quick: bool) -> list[Row]:
    """Every race with that ComfyUI; one without the model is refused in a sentence."""
    comfyui = install.found()
    sizes = sides.sizes_of(quick)
    with sides.started(comfyui) as host, torch.inference_mode():
        both = sides.built(host, comfyui, sizes, sizes.dtype)
        return list(rows(both, sizes, quick))


def told(quick: bool) -> list[dict[str, Any]]:
    """The rows for another process."""
    return [asdict(row) for row in run(quick)]


def rows(both: Sides, sizes: Sizes, quick: bool) -> Iterator[Row]:
    """Networks first, each compared and raced, then whole songs."""
    lengths = QUICK_SECONDS if quick else SECONDS
    for seconds in lengths:
        for guided in (False, True):
            yield step_row(both, sizes, seconds, guided, quick)
    yield decode_row(both, sizes, quick)
    yield planner_row(both, quick)
    yield words_row(both, lengths[0], quick)
    for seconds in lengths:
        ours, theirs = partial(both.chain.song, seconds), partial(both.theirs.song, BRIEF, seconds)
        yield Row.of_race(f"song of {seconds:g} s, against ComfyUI's own nodes", race(ours, theirs, quick))


def step_row(both: Sides, sizes: Sizes, seconds: float, guided: bool, quick: bool) -> Row:
    """A step of text2music: ours knows its conditions, theirs encodes them; the transformers are equal."""
    network = both.chain.sampler.transformer
    asked = Question(network, sizes, seconds, guided)
    name = f"step, {seconds:g} s{', guided' if guided else ''}, against ComfyUI's own nodes"
    apart = compared(name, answers(both, asked), EQUAL[sizes.dtype])
    text, lyrics = (random(1, count, sizes.text.hidden_size, like=asked.x) for count in (TEXT, LYRICS))
    theirs = both.theirs.step(asked.x, MOMENT, text, lyrics, guided)
    found = race(partial(evaluate, network, asked.x, asked.modulation, asked.shown), theirs, quick)
    gate, goal = (GATE, GOAL) if seconds == SECONDS[0] and not guided else (None, None)
    return Row.of_race(name, found, gate, goal, difference=apart)


def answers(both: Sides, asked: Question) -> Iterator[tuple[Tensor, Tensor]]:
    """Ours and theirs for each branch."""
    network = both.chain.sampler.transformer
    velocities = evaluate(network, asked.x, asked.modulation, asked.shown)
    null = network.null_condition_emb.expand(1, len(asked.sequence), -1)
    for ours, enc in zip(velocities, (asked.sequence[None], null), strict=True):
        if ours is not None:
            yield ours, both.theirs.decoder(asked.x, MOMENT, enc.to(asked.x), asked.shown.context)


def decode_row(both: Sides, sizes: Sizes, quick: bool) -> Row:
    """Latents to sound; what their node does to the level afterwards is left out."""
    seconds = QUICK_DECODED if quick else DECODED
    latents = random(1, frames_of(seconds), sizes.vae.decoder_input_channels)
    ours, theirs = partial(decode_tiled, both.chain.vae, latents, TILE), partial(both.theirs.decoded, latents)
    name = f"decode, {seconds:g} s, against ComfyUI's own nodes"
    apart = compared(name, [(ours(), theirs().to(device()))], EQUAL_SOUND[sizes.dtype])
    return Row.of_race(name, race(ours, theirs, quick), difference=apart)


def planner_row(both: Sides, quick: bool) -> Row:
    """Codes of one song; what both make of a prompt is equal, what they draw is not."""
    codes, (given, away) = QUICK_CODES if quick else CODES, prompts()
    hidden = Decoder(both.planner, (given,), 1, 1).hidden
    name = "planner 1.7B, against ComfyUI's own nodes"
    dtype = both.chain.sampler.dtype
    apart = compared(name, [(hidden, both.theirs.read(given)[:, -1])], EQUAL[dtype])
    ours = partial(composed, both.planner, 1, codes, PUBLISHED)
    found = race(ours, partial(both.theirs.composed, given, away, codes), quick)
    return Row.of_race(name, found, difference=apart, codes=codes)


def words_row(both: Sides, seconds: float, quick: bool) -> Row:
    """Words to conditions, ours with the condition encoder, theirs without: they run it in every step."""
    ours, theirs = partial(both.chain.condition, seconds), partial(both.theirs.words, BRIEF, seconds)
    return Row.of_race("words to conditions, against ComfyUI's own nodes", race(ours, theirs, quick))


def compared(name: str, pairs: Any, allowed: float) -> float:
    """The largest difference of some pairs, which has to be small."""
    apart = max(distance(ours, theirs) for ours, theirs in pairs)
    assert apart <= allowed, f"{name}: {apart:.1e} from ComfyUI's, {allowed:.1e} is allowed"
    return apart


def random(*shape: int, like: Tensor | None = None) -> Tensor:
    """Noise on the device, the same in every run."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device())
    return noise if like is None else noise.to(like)
