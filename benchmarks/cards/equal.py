"""Equality first: what the card answers, against the same weights on the CPU in fp32."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from acestep_core.networks.cuda_graph import can_capture, recorded
from acestep_core.networks.recorded import Recorder, evaluate
from acestep_core.planner.network import PlannerNetwork
from acestep_core.planner.token_sampling import SamplingParams
from acestep_core.timebase import frames_of, samples_of
from benchmarks.bench_planner import SMALL, composed
from benchmarks.cards import networks
from benchmarks.cards.sizes import Sizes
from benchmarks.full_size import distance, filled
from benchmarks.harness import DTYPES, Row, device

FP32, BF16 = 1e-3, 3e-2  # relative to the CPU: other orders of addition; eight bits of mantissa
BF16_SOUND = 0.3  # random weights: twenty layers of sines make much of a rounding
CODES = 12


class UnequalError(AssertionError):
    """The card answers something else: there is nothing to measure."""


@torch.inference_mode()
def rows(sizes: Sizes) -> Iterator[Row]:
    """Every network, fp32 and bf16; the recorded step against the plain one."""
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32 here; the measurements are in another precision
    for guided in (False, True):
        yield from evaluation_rows(sizes, guided)
    yield from sound_rows(sizes)
    yield planner_row()


def compared(item: str, apart: float, allowed: float) -> Row:
    """A difference that is small enough, or an error."""
    if not apart <= allowed:
        raise UnequalError(
            f"{item}: {apart:.1e} from what it should be, {allowed:.1e} is allowed. Nothing was measured."
        )
    return Row(f"difference: {item}", apart, "", allowed, more_is_better=False)


def evaluation_rows(sizes: Sizes, guided: bool) -> Iterator[Row]:
    """Some layers at real width, and their recording where there are any."""
    network = networks.transformer(sizes, torch.float32, sizes.equal_layers, where="cpu")
    exact = answered(network, sizes, guided, evaluate_plainly)
    name = f"transformer{', guided' if guided else ''}"
    for dtype, allowed in ((DTYPES["fp32"], FP32), (DTYPES["bf16"], BF16)):
        mine: Any = networks.on_card(network, dtype)
        plain = answered(mine, sizes, guided, evaluate_plainly)
        word = "fp32" if dtype is torch.float32 else "bf16"
        yield compared(f"{name}, {word}, against the CPU", distance(plain.cpu(), exact), allowed)
        if can_capture(mine, plain.device):
            replayed = answered(mine, sizes, guided, evaluate_recorded)
            yield compared(f"{name}, {word}, recorded against plain", distance(replayed, plain), FP32)


Evaluate = Callable[[Any, networks.Question], Tensor]


def answered(network: Any, sizes: Sizes, guided: bool, how: Evaluate) -> Tensor:
    """Every branch of one evaluation, [branches, T, C]."""
    return how(network, networks.Question(network, sizes, sizes.equal_seconds, guided)).float()


def evaluate_plainly(network: Any, asked: networks.Question) -> Tensor:
    """Operator by operator."""
    velocities = evaluate(network, asked.x, asked.modulation, asked.shown)
    return torch.cat([velocity for velocity in velocities if velocity is not None])


def evaluate_recorded(network: Any, asked: networks.Question) -> Tensor:
    """The third answer: the first is plain, the second was recorded on other latents."""
    record = Recorder(network, lambda step: step() is None, recorded)
    for latents in (torch.zeros_like(asked.x), torch.ones_like(asked.x)):
        record(latents, asked.modulation, asked.shown)
    velocities = record(asked.x, asked.modulation, asked.shown)
    return torch.cat([velocity for velocity in velocities if velocity is not None])


def sound_rows(sizes: Sizes) -> Iterator[Row]:
    """The VAE both ways, on a second of music."""
    frames = frames_of(1.0)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, frames, sizes.vae.decoder_input_channels, generator=generator)
    audio = 0.3 * torch.randn(1, sizes.vae.audio_channels, samples_of(frames), generator=generator)
    exact = networks.vae(sizes, torch.float32, where="cpu")
    decoded, encoded = exact.decode(latents), exact.encode(audio).mean
    for word, allowed in (("fp32", FP32), ("bf16", BF16_SOUND)):
        mine = networks.vae(sizes, DTYPES[word])
        given = (latents.to(device()), audio.to(device()))
        yield compared(
            f"decode, {word}, against the CPU", distance(mine.decode(given[0]).cpu(), decoded), allowed
        )
        yield compared(
            f"encode, {word}, against the CPU", distance(mine.encode(given[1]).mean.cpu(), encoded), allowed
        )


def planner_row() -> Row:
    """The likeliest codes of a small planner in fp32."""
    exact = filled(lambda: PlannerNetwork(SMALL, nn), torch.float32, where="cpu")
    mine: Any = networks.on_card(exact)
    greedy = SamplingParams(temperature=0)
    theirs, ours = (torch.stack(composed(network, 2, CODES, greedy)) for network in (exact, mine))
    assert len(theirs.unique()) > 4, "the comparison says nothing"
    return compared("planner, codes that differ", float((ours != theirs).sum()), 0)
