"""Guided, long and many at full size: an evaluation's time and memory, its growth with the length, and a whole long song's memory.

Nobody is raced here: what counts is how ours grows. The larger transformer does not fit everywhere, so its operations
are counted, and its times are those of the smaller one for so many more.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from acestep_core.networks.config import ModelConfig
from acestep_core.networks.dit import CrossAttended, DiffusionTransformer
from acestep_core.sampling.job import Job
from acestep_core.sampling.noise import NoisePlan
from acestep_core.sampling.run import generate
from acestep_core.sampling.settings import Settings
from acestep_core.sound.audio_file import FORMATS, write_audio
from acestep_core.timebase import SAMPLE_RATE, frames_of
from benchmarks.cards import networks
from benchmarks.cards.sizes import size
from benchmarks.full_size import filled, with_layers
from benchmarks.harness import (
    DTYPES,
    Row,
    Spread,
    device,
    forget_peak,
    gemm_peak,
    in_fresh_process,
    race,
    resident_bytes,
    seconds_of,
    timed,
    usual,
)
from support.tiny.shapes import FULL_SIZE_XL

TOKENS = 769  # 512 of lyrics, one of timbre, 256 of caption
LAYERS, QUICK_LAYERS = 24, 2
GROWTH_LAYERS, GROWTH_ROUNDS = 4, 9  # deeper networks grow alike; machines that others use need many rounds
SLOW = 40.0  # seconds of an evaluation that is made once, with nothing to warm up
GROWTH_GATE = 25.0  # times the time of 30 s, for 600 s
SONG_SECONDS, QUICK_SONG_SECONDS = 600.0, 6.0
SONG_STEPS = 2  # each takes the memory of the one before
SONG_GATE = 3.0  # GiB
MIB, GIB = 1 << 20, 1 << 30


class Item(NamedTuple):
    """What is evaluated."""

    seconds: float
    songs: int = 1
    guided: bool = False
    dtype: str = ""  # or else the usual one

    @property
    def name(self) -> str:
        """In the table."""
        many = f"{self.songs} songs of " if self.songs > 1 else ""
        return f"evaluation, {many}{self.seconds:g} s, {self.stored_as}{', guided' if self.guided else ''}"

    @property
    def stored_as(self) -> str:
        """The dtype of its weights."""
        return self.dtype or usual()


SHORT, LONG = Item(30.0), Item(600.0)
ITEMS = (SHORT, Item(30.0, guided=True), Item(30.0, songs=4), Item(120.0), Item(240.0), LONG)
IN_FP32 = SHORT._replace(dtype="fp32"), LONG._replace(dtype="fp32")  # where bf16 is usual
QUICK_ITEMS = (Item(2.0), Item(2.0, guided=True), Item(2.0, songs=4))


def run(quick: bool) -> list[Row]:
    """Times and memory, growth, counts, and a whole song's memory."""
    items, layers = (QUICK_ITEMS, QUICK_LAYERS) if quick else (ITEMS, LAYERS)
    if not quick and usual() != "fp32":
        items += IN_FP32
    seen = {item: Seen(*in_fresh_process("bench_long", "evaluated", *item, layers, quick)) for item in items}
    rows = [
        row
        for item, found in seen.items()
        for row in (time_row(item, found, layers), memory_row(item, found, layers))
    ]
    rows += [growth_row(*pair, quick) for pair in ((SHORT, LONG), IN_FP32) if pair[1] in seen]
    rows += counted_rows([item for item in items if not item.dtype], layers)
    rows.append(song_row(QUICK_SONG_SECONDS if quick else SONG_SECONDS, layers))
    return rows


class Seen(NamedTuple):
    """Seconds of an evaluation, and the MiB that its first one took over weights and what it is given."""

    median: float
    least: float
    most: float
    mib: float


@torch.inference_mode()
def evaluated(seconds: float, songs: int, guided: bool, dtype: str, layers: int, quick: bool) -> Seen:
    """In this process, which has done nothing else; the first evaluation takes the memory, and counts where one takes long."""
    item = Item(seconds, songs, guided, dtype)
    network = transformer(layers, item.stored_as)
    forget_peak()
    before = resident_bytes()
    asked = evaluation(network, item)
    first = seconds_of(asked)
    mib = (resident_bytes(peak=True) - before) / MIB
    spread = Spread.of([first]) if first > SLOW else timed(asked, quick)
    return Seen(spread.median, spread.least, spread.most, mib)


def growth_row(short: Item, long: Item, quick: bool) -> Row:
    """Times the time of the short one that the long one takes."""
    growths = in_fresh_process("bench_long", "growths", tuple(short), tuple(long), GROWTH_LAYERS, quick)
    details = {"growths": growths, "layers": GROWTH_LAYERS}
    name = f"{long.name} over {short.seconds:g} s"
    return Row(name, median(growths), gate=GROWTH_GATE, more_is_better=False, details=details)


def growths(short: Sequence[Any], long: Sequence[Any], layers: int, quick: bool) -> tuple[float, ...]:
    """Round by round: as many short ones as are one long one's length, then the long one, and the other way around."""
    network = transformer(layers, Item(*short).stored_as)
    one, other = (evaluation(network, Item(*item)) for item in (short, long))
    many = max(1, round(Item(*long).seconds / Item(*short).seconds))
    found = race(lambda: [one() for _ in range(many)], other, quick, GROWTH_ROUNDS)
    return tuple(ratio * many for ratio in found.ratios)


def transformer(layers: int, dtype: str) -> DiffusionTransformer:
    """The first layers of the 2B one."""
    return filled(lambda: DiffusionTransformer(with_layers(layers), nn), DTYPES[dtype])


def evaluation(network: DiffusionTransformer, item: Item) -> Callable[[], object]:
    """As a run asks for it: what is the same in every step is there already."""
    generator, frames = torch.Generator().manual_seed(0), frames_of(item.seconds)
    like = network.scale_shift_table

    def random(*shape: int) -> Tensor:
        if like.is_meta:
            return torch.empty(shape, device="meta", dtype=like.dtype)
        return torch.randn(shape, generator=generator).to(like)

    latent = (
        cast(nn.Conv1d, network.proj_in[1]).in_channels // 3
    )  # beside the state there are source and mask
    x, context = random(item.songs, frames, latent), random(item.songs, frames, 2 * latent)
    told = random(TOKENS, network.null_condition_emb.shape[-1])
    null = network.null_outputs(x) if item.guided else None
    return partial(
        network,
        x,
        context=context,
        modulation=network.modulations(torch.full((1,), 0.75).to(like))[0],
        attended=CrossAttended(network.key_values([told]), null),
        positions=network.positions(frames, x),
    )


def flop_of(config: ModelConfig, item: Item) -> int:
    """What its multiplications and additions come to, counted on shapes alone."""
    with torch.device("meta"):
        network = DiffusionTransformer(config, nn).requires_grad_(False)
        asked = evaluation(network, item)
        with FlopCounterMode(display=False) as counter:
            asked()
    return counter.get_total_flops()


def time_row(item: Item, found: Seen, layers: int) -> Row:
    """Seconds, and the share of the best matrix product."""
    speed = flop_of(with_layers(layers), item) / found.least
    details = {
        "seconds": found[:3],
        "gflops": speed / 1e9,
        "share": speed / gemm_peak(DTYPES[item.stored_as]),
        "layers": layers,
    }
    return Row(item.name, found.median, "s", more_is_better=False, details=details)


def counted_rows(items: Sequence[Item], layers: int) -> Iterator[Row]:
    """How many times the operations of the 2B transformer the XL one takes."""
    larger = ModelConfig.from_json(FULL_SIZE_XL)
    for item in items:
        counts = flop_of(with_layers(layers), item), flop_of(larger, item)
        details = {"flop_2b": counts[0], "flop_xl": counts[1], "layers_2b": layers}
        yield Row(f"{item.name}: operations of XL over 2B, counted", counts[1] / counts[0], details=details)


def memory_row(item: Item, found: Seen, layers: int) -> Row:
    """The most that an evaluation takes over weights and what it is given."""
    return Row(f"{item.name}: memory", found.mib, "MiB", more_is_better=False, details={"layers": layers})


def song_row(seconds: float, layers: int) -> Row:
    """A whole song, words to file."""
    found = in_fresh_process("bench_long", "song_memory", seconds, layers)
    name = f"song of {seconds:g} s from words to file, {usual()}: memory over the weights"
    return Row(name, found, "GiB", SONG_GATE, more_is_better=False, details={"layers": layers})


@torch.inference_mode()
def song_memory(seconds: float, layers: int) -> float:
    """GiB that a song takes in this process over the weights of all networks."""
    chain = networks.chain(replace(size(tiny=False), config=with_layers(layers), dtype=DTYPES[usual()]))
    forget_peak()
    before = resident_bytes()
    source = chain.sampler.silence.frames(frames_of(seconds))
    job = Job([chain.condition(seconds)], source, NoisePlan((1,)))
    latents = generate(chain.sampler, job, Settings(steps=SONG_STEPS, shift=3.0).resolved(turbo=True))
    with tempfile.TemporaryDirectory() as folder:
        sound = chain.decoded(latents)[0]
        write_audio(Path(folder) / "song.flac", sound, SAMPLE_RATE, FORMATS["FLAC 24-bit"])
    assert device() == "cpu", "what an accelerator takes is measured by benchmarks/card.py"
    return (resident_bytes(peak=True) - before) / GIB
