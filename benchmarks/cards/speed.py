"""How fast each network is: one evaluation eager and recorded, what it launches, sound both ways, codes per second."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from acestep_core.networks.cuda_graph import can_capture, recorded
from acestep_core.networks.recorded import Recorder, evaluate
from acestep_core.networks.tiling import TILE_LADDER, decode_tiled, encode_tiled
from acestep_core.planner.network import PlannerNetwork
from acestep_core.timebase import frames_of, samples_of
from benchmarks.bench_planner import CODES, PUBLISHED, composed
from benchmarks.cards import networks
from benchmarks.cards.sizes import Sizes
from benchmarks.figures.operations import counted
from benchmarks.full_size import filled
from benchmarks.harness import Row, device, gemm_peak, seconds_of, timed

LAUNCHES = ("LaunchKernel", "ModuleLaunch")  # in what CUDA and ROCm call handing over a kernel
SHARE_GATE = 0.6  # of the memory's speed, for the planner


@torch.inference_mode()
def evaluations(sizes: Sizes, quick: bool) -> Iterator[Row]:
    """The transformer at each length; guided at the first."""
    network = networks.transformer(sizes, sizes.dtype)
    peak = gemm_peak(sizes.dtype, 256 if quick else 8192)
    for number, seconds in enumerate(sizes.evaluated):
        for guided in (False, True)[: 2 - min(number, 1)]:
            asked = networks.Question(network, sizes, seconds, guided)
            yield from one_evaluation(
                network, asked, f"{seconds:g} s{', guided' if guided else ''}", peak, quick
            )


def one_evaluation(
    network: Any, asked: networks.Question, name: str, peak: float, quick: bool
) -> Iterator[Row]:
    """Eager and recorded, the share of the peak, launches and attention kernels."""

    def eager() -> None:
        evaluate(network, asked.x, asked.modulation, asked.shown)

    spread, flop = timed(eager, quick), counted(eager)
    share = flop / spread.median / peak
    details = {"eager_s": vars(spread), "flop": flop, "peak_flops": peak}
    yield Row(f"evaluation, {name}", 1e3 * spread.median, "ms", details=details, more_is_better=False)
    yield Row(f"evaluation, {name}, share of the best matrix product", share, "")
    if can_capture(network, asked.x.device):
        record = Recorder(network, lambda step: step() is None, recorded)
        replayed = timed(lambda: record(asked.x, asked.modulation, asked.shown), quick)
        details = {"recorded_s": vars(replayed)}
        yield Row(
            f"evaluation, {name}, recorded",
            1e3 * replayed.median,
            "ms",
            details=details,
            more_is_better=False,
        )
    launched = launches(eager)
    yield Row(f"evaluation, {name}, launches", launched, "", more_is_better=False)
    yield Row(
        f"evaluation, {name}, attention: {'; '.join(attention_kernels(eager))}",
        len(attention_kernels(eager)),
        "",
    )


def launches(run: Callable[[], object]) -> int:
    """Kernels that a card is handed; where the profiler sees no card, operators that are more than views."""
    if watched := profilable():
        with profile(activities=[ProfilerActivity.CPU, *watched]) as seen:
            run()
            seconds_of(list)  # waits for the card
        handed = sum(any(word in event.name for word in LAUNCHES) for event in seen.events() or [])
        if handed:
            return handed
    with Operators() as counter:
        run()
    return counter.seen


class Operators(TorchDispatchMode):
    """Counts operators whose answer is no view."""

    seen = 0

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func._schema.returns
        self.seen += not any(answer.alias_info and not answer.alias_info.is_write for answer in made)
        return func(*args, **(kwargs or {}))


def profilable() -> list[ProfilerActivity]:
    """What a profiler can watch on this device besides the CPU."""
    kind = torch.device(device()).type
    known = {"cuda": ProfilerActivity.CUDA, "xpu": ProfilerActivity.XPU}
    return [known[kind]] if kind in known else []


def attention_kernels(run: Callable[[], object]) -> list[str]:
    """Which of torch's kernels each kind of attention gets: `sizes of queries: kernel`, in the order of their use."""
    plain, seen = F.scaled_dot_product_attention, Counter[str]()

    def attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, **more: Any) -> Tensor:
        masked = " masked" if attn_mask is not None else ""
        seen[f"{q.shape[-2]} x {k.shape[-2]}{masked} {kernel(q, k, v, attn_mask, **more)}"] += 1
        return plain(q, k, v, attn_mask=attn_mask, **more)

    with patch.object(F, "scaled_dot_product_attention", attention):
        run()
    return [f"{name} ({count})" for name, count in seen.items()]


def kernel(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **more: Any) -> str:
    """The name of the kernel that torch chooses; devices that are not asked say nothing."""
    choose = getattr(torch, "_fused_sdp_choice", None)
    try:
        return SDPBackend(choose(q, k, v, mask, **more)).name.lower() if choose else "unknown"
    except (RuntimeError, ValueError):
        return "the device's own"


@torch.inference_mode()
def sound(sizes: Sizes, quick: bool) -> Iterator[Row]:
    """Decode and encode in the largest tiles."""
    network = networks.vae(sizes, sizes.dtype)
    for seconds in sizes.coded:
        frames = frames_of(seconds)
        latents = torch.randn(1, frames, sizes.vae.decoder_input_channels, device=device())
        audio = 0.1 * torch.randn(1, sizes.vae.audio_channels, samples_of(frames), device=device())
        works = {
            "decode": lambda z=latents: decode_tiled(network, z, TILE_LADDER[0]),
            "encode": lambda s=audio: encode_tiled(network, s, TILE_LADDER[0]),
        }
        for name, work in works.items():
            spread = timed(work, quick)
            details = {"seconds": vars(spread)}
            yield Row(
                f"{name}, {seconds:g} s", 1e3 * spread.median, "ms", details=details, more_is_better=False
            )


def planner(name: str, sizes: Sizes, quick: bool) -> Iterator[Row]:
    """Codes per second of one song, and their share of what reading every weight once per code allows."""
    measured = sizes.planners[name]
    network = filled(lambda: PlannerNetwork(measured, nn), sizes.dtype)
    rate = codes_per_second(network, sizes.codes, 1 if quick else 3)
    body = sum(weight.nbytes for weight in network.layers.parameters())
    read = body + len(CODES) * measured.hidden_size * sizes.dtype.itemsize
    speed = read_speed(sizes.block)
    details = {"bytes_per_code": read, "bytes_per_s": speed}
    yield Row(f"planner {name}", rate, "codes/s", details=details)
    gate = None if quick else SHARE_GATE
    yield Row(f"planner {name}, share of the memory's speed", rate * read / speed, "", gate)


def read_speed(numbers: int) -> float:
    """Bytes per second that the device reads, from a sum over much memory."""
    block = torch.ones(numbers, dtype=torch.bfloat16, device=device())
    return block.nbytes / min(seconds_of(block.sum) for _ in range(5))


@torch.inference_mode()
def codes_per_second(network: Any, codes: int, tries: int) -> float:
    """From runs of two lengths, whose difference is free of prompts and recordings."""
    composed(network, 1, codes, PUBLISHED)
    short, long = (
        min(seconds_of(lambda count=count: composed(network, 1, count, PUBLISHED)) for _ in range(tries))
        for count in (codes, 3 * codes)
    )
    return 2 * codes / max(long - short, 1e-9)
