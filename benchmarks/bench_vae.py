"""The VAE against diffusers' at full size, same random weights: time per item, and peak memory of tiled decoding.

    python benchmarks/bench_vae.py [--seconds 10] [--items decode,encode] [--device cpu] [--json FILE]

Gates: decode at least 1.9 times as fast in fp32 and 1.5 times in bf16; tiled decoding equals the whole; its peak
memory over weights and output is the same for short and long songs and at most 1 GiB in fp32.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from vae_oracle import FULL, oobleck_of, randomise, reference  # noqa: E402  after the path is set

from acestep_core.oobleck import Oobleck  # noqa: E402
from acestep_core.tiling import TILE_LADDER, activation_bytes, decode_tiled  # noqa: E402
from acestep_core.timebase import frames_of, samples_of  # noqa: E402

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
DECODE_GATES = {"fp32": 1.9, "bf16": 1.5}  # times as fast as diffusers
EXACT = 1e-4  # relative difference to diffusers in fp32
TILED = 1e-5  # of the peak
MEMORY_GATE_MIB = 1024
MEMORY_SECONDS = (24, 48)
MEMORY_SPREAD_MIB = 64  # what an allocator may differ by between two runs
LONG_ITEM_SECONDS = 5.0


class Item(NamedTuple):
    """One thing to time: theirs and ours on the same input, in one precision."""

    name: str
    gate: float | None
    theirs: Callable[[], Tensor]
    ours: Callable[[], Tensor]
    exact: Tensor  # what diffusers answers in fp32
    flop: int


class Pair(NamedTuple):
    """Both VAEs with the same weights in one dtype."""

    theirs: nn.Module
    ours: Oobleck


def pair(dtype: torch.dtype, device: str) -> Pair:
    """Diffusers' full-size VAE and ours."""
    theirs = randomise(reference(FULL))
    ours = oobleck_of(theirs.state_dict(), FULL, dtype).to(device)
    return Pair(theirs.to(device, dtype), ours)


def items(seconds: float, wanted: set[str], device: str) -> list[Item]:
    """Everything to time; `wanted` holds parts of names."""
    generator, frames = torch.Generator().manual_seed(0), frames_of(seconds)
    z = torch.randn(1, frames, FULL.decoder_input_channels, generator=generator).to(device)
    audio = 0.3 * torch.randn(1, FULL.audio_channels, samples_of(frames), generator=generator).to(device)
    single = pair(torch.float32, device)
    decoded, encoded = their_decode(single.theirs, z), their_encode(single.theirs, audio)
    flops = {"decode": decode_flop(frames), "encode": encode_flop(frames)}
    found = []
    for name, gate in DECODE_GATES.items():
        theirs, ours = single if name == "fp32" else pair(DTYPES[name], device)
        slow = partial(their_decode, theirs, z)
        tiled = partial(decode_tiled, ours, z, TILE_LADDER[1])
        found += [
            Item(f"decode {name}", gate, slow, partial(ours.decode, z), decoded, flops["decode"]),
            Item(f"decode tiled {name}", None, slow, tiled, decoded, flops["decode"]),
            Item(
                f"encode {name}",
                None,
                partial(their_encode, theirs, audio),
                lambda vae=ours: vae.encode(audio).mean,
                encoded,
                flops["encode"],
            ),
        ]
    return [item for item in found if not wanted or any(part in item.name for part in wanted)]


def their_decode(vae: Any, z: Tensor) -> Tensor:
    """Diffusers' answer to latents [B, T, D]."""
    return vae.decode(z.mT.to(vae.dtype)).sample


def their_encode(vae: Any, audio: Tensor) -> Tensor:
    """Diffusers' mean [B, T, D] of audio."""
    return vae.encode(audio.to(vae.dtype)).latent_dist.mean.mT


def decode_flop(frames: int) -> int:
    """Multiply-adds, counted twice, that the decoder needs for so many frames."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        Oobleck(FULL).decoder(torch.empty(frames, FULL.decoder_input_channels))
    return counter.get_total_flops()


def encode_flop(frames: int) -> int:
    """The same for the encoder."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        Oobleck(FULL).encoder(torch.empty(samples_of(frames), FULL.audio_channels))
    return counter.get_total_flops()


def difference(answer: Tensor, exact: Tensor) -> float:
    """Relative distance."""
    return ((answer.float() - exact).norm() / exact.norm()).item()


def check_equal(item: Item) -> dict[str, float]:
    """Refuse to time a wrong answer: equal in fp32, no further from fp32 than diffusers is in bf16."""
    theirs, ours = difference(item.theirs(), item.exact), difference(item.ours(), item.exact)
    allowed = EXACT if item.name.endswith("fp32") else 1.1 * theirs
    assert ours <= allowed, f"{item.name}: {ours:.1e} away from diffusers in fp32, {allowed:.1e} is allowed"
    return {"difference_theirs": theirs, "difference_ours": ours}


def seconds_of_run(run: Callable[[], Tensor], device: str) -> float:
    """Wall-clock time of one run, its device work included."""
    started = time.perf_counter()
    run()
    if device != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - started


def interleaved(item: Item, device: str) -> dict[str, Any]:
    """Theirs and ours in turns, the first changing every round: medians, and the median of the rounds' ratios."""
    runs = [("theirs", item.theirs), ("ours", item.ours)]
    warmup = max(seconds_of_run(run, device) for _, run in runs)
    rounds = 3 if warmup > LONG_ITEM_SECONDS else 7
    times: dict[str, list[float]] = {"theirs": [], "ours": []}
    for index in range(rounds):
        for name, run in runs if index % 2 else runs[::-1]:
            times[name].append(seconds_of_run(run, device))
    ratios = [theirs / ours for theirs, ours in zip(times["theirs"], times["ours"], strict=True)]
    spread = {f"{name}_s": [min(t), statistics.median(t), max(t)] for name, t in times.items()}
    return {"ratio": statistics.median(ratios), "ratios": ratios, "rounds": rounds, **spread}


def gemm_peak(dtype: torch.dtype, device: str, size: int = 2048) -> float:
    """FLOP per second of a large matrix product."""
    a = torch.randn(size, size, device=device).to(dtype)
    best = min(seconds_of_run(lambda: a @ a, device) for _ in range(7))
    return 2 * size**3 / best


def resident_mib(peak: bool = False) -> float:
    """Memory of this process now, or at most so far."""
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def measure_memory(seconds: float, dtype: torch.dtype) -> dict[str, float]:
    """Decode in tiles in this fresh process: MiB over weights and output."""
    with torch.device("meta"):
        vae = Oobleck(FULL)
    for name, parameter in list(vae.named_parameters()):
        layer, _, leaf = name.rpartition(".")
        kept = torch.float32 if leaf in ("frequency", "amplitude") else dtype
        filled = torch.full(parameter.shape, 0.01, dtype=kept)
        vae.get_submodule(layer).register_parameter(leaf, nn.Parameter(filled, requires_grad=False))
    z = torch.zeros(1, frames_of(seconds), FULL.decoder_input_channels)
    before = resident_mib()
    audio = decode_tiled(vae, z, TILE_LADDER[0])
    over = resident_mib(peak=True) - before - audio.numel() * audio.itemsize / 2**20
    return {"over_mib": over, "estimate_mib": activation_bytes(TILE_LADDER[0], FULL, dtype) / 2**20}


def memory_report() -> dict[str, dict[str, float]]:
    """Peak memory by precision and length, each in a process of its own."""
    report = {}
    for name in DTYPES:
        for seconds in MEMORY_SECONDS:
            command = [sys.executable, __file__, "--memory", str(seconds), name]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            report[f"{name} {seconds} s"] = json.loads(answer.stdout.splitlines()[-1])
    return report


def machine(device: str) -> dict[str, Any]:
    """What the numbers depend on."""
    cpu = [
        line
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if "model name" in line
    ]
    return {
        "cpu": cpu[0].split(":")[1].strip() if cpu else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device,
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "gemm_gflops": {name: gemm_peak(dtype, device) / 1e9 for name, dtype in DTYPES.items()},
    }


def time_items(chosen: list[Item], device: str, peaks: dict[str, float]) -> tuple[dict[str, Any], list[str]]:
    """Check, time and print every item; the second answer names the gates that were missed."""
    results, missed = {}, []
    for item in chosen:
        equality = check_equal(item)
        timing = interleaved(item, device)
        rate = item.flop / timing["ours_s"][1] / 1e9
        results[item.name] = {**equality, **timing, "gate": item.gate, "gflops": rate}
        gate = "" if item.gate is None else f" (gate {item.gate:g}x)"
        print(
            f"{item.name:18s} theirs {timing['theirs_s'][1]:6.2f} s  ours {timing['ours_s'][1]:6.2f} s  "
            f"{timing['ratio']:.2f}x{gate}, {rate:.0f} GFLOP/s = {rate / peaks[item.name[-4:]]:.0%} of GEMM; "
            f"from fp32: theirs {equality['difference_theirs']:.1e}, ours {equality['difference_ours']:.1e}",
            flush=True,
        )
        if item.gate is not None and timing["ratio"] < item.gate:
            missed.append(f"{item.name}: {timing['ratio']:.2f}x, gate {item.gate:g}x")
    return results, missed


def check_tiles() -> dict[str, float]:
    """Tiled against whole at full size in fp32, relative to the peak."""
    vae = pair(torch.float32, "cpu").ours
    z = torch.randn(1, 80, FULL.decoder_input_channels, generator=torch.Generator().manual_seed(1))
    whole = vae.decode(z)
    return {
        str(tile): ((decode_tiled(vae, z, tile) - whole).abs().max() / whole.abs().max()).item()
        for tile in (TILE_LADDER[-1], 40)
    }


def memory_missed(report: dict[str, dict[str, float]]) -> list[str]:
    """Print peak memory; what is too much."""
    missed = []
    for name, found in report.items():
        print(
            f"tiled decode {name}: {found['over_mib']:.0f} MiB over weights and output ({found['estimate_mib']:.0f} estimated)"
        )
        if name.startswith("fp32") and found["over_mib"] > MEMORY_GATE_MIB:
            missed.append(f"memory {name}: {found['over_mib']:.0f} MiB, gate {MEMORY_GATE_MIB} MiB")
    for dtype in DTYPES:
        values = [found["over_mib"] for name, found in report.items() if name.startswith(dtype)]
        if max(values) - min(values) > MEMORY_SPREAD_MIB:
            missed.append(f"memory in {dtype} grows with the song: {values}")
    return missed


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--items", default="", help="parts of item names, comma separated; memory, tiles too")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--memory", nargs=2, metavar=("SECONDS", "DTYPE"), help="measure in this process and exit"
    )
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    """Run what was asked for; exit 1 if a gate was missed."""
    given = arguments()
    if given.memory:
        print(json.dumps(measure_memory(float(given.memory[0]), DTYPES[given.memory[1]])))
        return
    wanted = {part for part in given.items.split(",") if part}
    result: dict[str, Any] = {"machine": machine(given.device)}
    print(json.dumps(result["machine"]))
    chosen = items(given.seconds, wanted, given.device) if wanted != {"memory"} else []
    result["items"], missed = time_items(chosen, given.device, result["machine"]["gemm_gflops"])
    del chosen
    if not wanted or "tiles" in wanted:
        result["tiled_difference"] = check_tiles()
        print(f"tiled = whole, of the peak: {result['tiled_difference']}")
        missed += [f"tile {t}: {d:.1e}" for t, d in result["tiled_difference"].items() if d > TILED]
    if not wanted or "memory" in wanted:
        result["memory"] = memory_report()
        missed += memory_missed(result["memory"])
    if given.json:
        given.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if missed:
        sys.exit("Gates missed: " + "; ".join(missed))


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)  # diffusers' weight norm
    diffusers.utils.logging.set_verbosity_error()
    main()
