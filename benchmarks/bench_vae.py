"""The VAE at full size: time against diffusers with the same weights, tiles against the whole, peak memory."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from acestep_core.networks.oobleck import Oobleck
from acestep_core.networks.tiling import TILE_LADDER, activation_bytes, decode_tiled, encode_tiled
from acestep_core.timebase import frames_of, samples_of
from benchmarks.harness import DTYPES, Row, in_fresh_process, race, resident_bytes, usable
from support.reference.vae import FULL, oobleck_of, randomise, reference

MIB = 1 << 20
SECONDS, QUICK_SECONDS = 10.0, 1.0
TILE = TILE_LADDER[1]  # so that ten seconds are more than one
GATES = {"decode fp32": (1.9, 2.3), "decode bf16": (1.5, 1.8)}  # gate and goal, times as fast
EXACT = 1e-4  # fp32, relative to diffusers
NO_WORSE = 1.1  # bf16: so many times as far from fp32 as diffusers' bf16 is
TILED_GATE, TILED_GOAL = 1e-4, 1e-5  # of the peak
MEMORY_SECONDS = (24.0, 48.0)
MEMORY_GATES = {"fp32": 400.0, "bf16": 300.0}  # MiB
GROWTH_GATE = 64.0  # MiB that an allocator may keep more of for the longer song


class Item(NamedTuple):
    """The same work for both, and what diffusers answers in fp32."""

    name: str
    ours: Callable[[], Tensor]
    theirs: Callable[[], Tensor]
    exact: Tensor
    flop: int


def run(quick: bool) -> list[Row]:
    """Every row of the VAE."""
    seconds = QUICK_SECONDS if quick else SECONDS
    rows = [timed(item, quick) for item in items(seconds)]
    return [*rows, tiled_row(seconds), *memory_rows(quick)]


@torch.no_grad()
def items(seconds: float) -> Iterator[Item]:
    """Decode, tiled decode and encode in both precisions."""
    generator, frames = torch.Generator().manual_seed(0), frames_of(seconds)
    z = torch.randn(1, frames, FULL.decoder_input_channels, generator=generator)
    audio = 0.3 * torch.randn(1, FULL.audio_channels, samples_of(frames), generator=generator)
    theirs, ours = pair(torch.float32)
    decoded, encoded = their_decode(theirs, z), their_encode(theirs, audio)
    for name in usable():
        dtype = DTYPES[name]
        if dtype != torch.float32:
            theirs, ours = pair(dtype)
        decode, tiled = partial(ours.decode, z), partial(decode_tiled, ours, z, TILE)
        slow_decode, slow_encode = partial(their_decode, theirs, z), partial(their_encode, theirs, audio)
        yield Item(f"decode {name}", decode, slow_decode, decoded, decode_flop(frames))
        yield Item(f"tiled decode {name}", tiled, slow_decode, decoded, decode_flop(frames))
        yield Item(f"encode {name}", partial(mean_of, ours, audio), slow_encode, encoded, encode_flop(frames))


def pair(dtype: torch.dtype) -> tuple[nn.Module, Oobleck]:
    """Diffusers' VAE and ours, same weights."""
    theirs = randomise(reference(FULL))
    ours = oobleck_of(theirs.state_dict(), FULL, dtype)
    return theirs.to(dtype), ours


def their_decode(vae: Any, z: Tensor) -> Tensor:
    """Diffusers' audio of latents [B, T, D]."""
    return vae.decode(z.mT.to(vae.dtype)).sample


def their_encode(vae: Any, audio: Tensor) -> Tensor:
    """Diffusers' mean [B, T, D] of audio."""
    return vae.encode(audio.to(vae.dtype)).latent_dist.mean.mT


def mean_of(vae: Oobleck, audio: Tensor) -> Tensor:
    """Our mean of audio."""
    return vae.encode(audio).mean


def decode_flop(frames: int) -> int:
    """What the decoder's multiplications and additions come to."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        Oobleck(FULL).decoder(torch.empty(frames, FULL.decoder_input_channels))
    return counter.get_total_flops()


def encode_flop(frames: int) -> int:
    """The same for the encoder."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        Oobleck(FULL).encoder(torch.empty(samples_of(frames), FULL.audio_channels))
    return counter.get_total_flops()


def timed(item: Item, quick: bool) -> Row:
    """Compare the answers, then race: equal in fp32, and in bf16 no further from fp32 than diffusers is."""
    ours, theirs = distance(item.ours(), item.exact), distance(item.theirs(), item.exact)
    allowed = EXACT if item.name.endswith("fp32") else NO_WORSE * theirs
    assert ours <= allowed, f"{item.name}: {ours:.1e} from diffusers' fp32, {allowed:.1e} is allowed"
    found = race(item.ours, item.theirs, quick)
    gate, goal = GATES.get(item.name, (None, None))
    speed = {"gflops": item.flop / found.ours.median / 1e9}
    return Row.of_race(
        f"VAE {item.name}", found, gate, goal, from_fp32=ours, theirs_from_fp32=theirs, **speed
    )


@torch.no_grad()
def distance(answer: Tensor, exact: Tensor) -> float:
    """Relative distance."""
    return ((answer.float() - exact).norm() / exact.norm()).item()


def tiled_row(seconds: float) -> Row:
    """How far decoding in the smallest tiles is from decoding the whole, relative to the peak."""
    vae = pair(torch.float32)[1]
    frames = frames_of(seconds) // 2
    z = torch.randn(1, frames, FULL.decoder_input_channels, generator=torch.Generator().manual_seed(1))
    whole, tiled = vae.decode(z), decode_tiled(vae, z, TILE_LADDER[-1])
    difference = ((tiled - whole).abs().max() / whole.abs().max()).item()
    return Row(
        "VAE tiled decode - whole, of the peak", difference, "", TILED_GATE, TILED_GOAL, more_is_better=False
    )


def memory_rows(quick: bool) -> Iterator[Row]:
    """Peak memory of tiled work over weights, what it is given and what comes out, and how much more twice the length takes."""
    lengths = (QUICK_SECONDS, 2 * QUICK_SECONDS) if quick else MEMORY_SECONDS
    for name in usable():
        estimate = activation_bytes(TILE_LADDER[0], FULL, DTYPES[name], torch.device("cpu")) / MIB
        details = {"estimate_mib": estimate, "seconds": lengths[1]}
        for work in ("decode", "encode"):
            short, long = (
                in_fresh_process("bench_vae", f"{work}_memory", seconds, name) for seconds in lengths
            )
            title = f"VAE tiled {work} {name}, memory"
            yield Row(title, long, "MiB", MEMORY_GATES[name], more_is_better=False, details=details)
            yield Row(f"{title} for twice the length", long - short, "MiB", GROWTH_GATE, more_is_better=False)


def decode_memory(seconds: float, name: str) -> float:
    """MiB that decoding in the largest tiles takes in this process, over weights and output."""
    vae = hollow_vae(DTYPES[name])
    z = torch.zeros(1, frames_of(seconds), FULL.decoder_input_channels)
    before = resident_bytes()
    audio = decode_tiled(vae, z, TILE_LADDER[0])
    return (resident_bytes(peak=True) - before - audio.nbytes) / MIB


def encode_memory(seconds: float, name: str) -> float:
    """MiB that encoding in the largest tiles takes in this process, over weights and the recording."""
    vae = hollow_vae(DTYPES[name])
    audio = torch.zeros(1, FULL.audio_channels, samples_of(frames_of(seconds))).add_(0.1)
    before = resident_bytes()
    encode_tiled(vae, audio, TILE_LADDER[0])
    return (resident_bytes(peak=True) - before) / MIB


def hollow_vae(dtype: torch.dtype) -> Oobleck:
    """Our VAE with one value everywhere, made without any memory but its own."""
    with torch.device("meta"):
        vae = Oobleck(FULL).requires_grad_(False)
    weights = {}
    for key, parameter in vae.state_dict().items():
        kept = torch.float32 if key.endswith(("frequency", "amplitude")) else dtype
        weights[key] = torch.full(parameter.shape, 0.01, dtype=kept)
    vae.load_state_dict(weights, assign=True)
    return vae
