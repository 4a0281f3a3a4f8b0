"""How everything here is measured: candidates take turns in one process, memory is read in a process of its own."""

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
LONG_SECONDS = 5.0  # an item that takes longer is measured in fewer rounds
ROUNDS, LONG_ROUNDS = 7, 3
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CRAWLING = 0.5  # of the speed of fp32: a dtype below it is one that nobody would choose here
DEVICE = "BENCH_DEVICE"  # in the environment: a device to take instead of the accelerator

Run = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """Seconds of the runs of one candidate."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        return cls(statistics.median(seconds), min(seconds), max(seconds))


@dataclass(frozen=True)
class Race:
    """Two candidates on the same work: how many times as fast ours is, round by round."""

    ours: Spread
    theirs: Spread
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: a slow moment of the machine hits both candidates of its round."""
        return statistics.median(self.ratios)


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, the least that counts as done (`gate`) and what is wanted (`goal`)."""

    item: str
    measured: float
    unit: str = "x"  # times as fast as diffusers
    gate: float | None = None
    goal: float | None = None
    more_is_better: bool = True
    details: dict[str, Any] = field(default_factory=dict)  # medians, differences: for the JSON file

    @classmethod
    def of_race(
        cls, item: str, race: Race, gate: float | None = None, goal: float | None = None, **more: Any
    ) -> "Row":
        """Times as fast as diffusers; `more` joins the times in the JSON file."""
        spreads = {"ours_s": vars(race.ours), "theirs_s": vars(race.theirs)}
        return cls(item, race.ratio, gate=gate, goal=goal, details={**spreads, "ratios": race.ratios, **more})

    def reaches(self, bound: float | None) -> bool:
        """Whether the measured value is as good as this bound; no bound is always reached."""
        if bound is None:
            return True
        return self.measured >= bound if self.more_is_better else self.measured <= bound


def device() -> str:
    """Where the candidates run: the accelerator if there is one."""
    if named := os.environ.get(DEVICE):
        return named
    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"


def seconds_of(run: Run) -> float:
    """Wall-clock time of one run, work that an accelerator still holds included."""
    started = time.perf_counter()
    run()
    if device() != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - started


@torch.inference_mode()
def timed(run: Run, quick: bool = False) -> Spread:
    """Seconds of one candidate by itself, after two warm-ups."""
    slowest = max(seconds_of(run) for _ in range(1 if quick else 2))
    rounds = 1 if quick else LONG_ROUNDS if slowest > LONG_SECONDS else ROUNDS
    return Spread.of([seconds_of(run) for _ in range(rounds)])


@torch.inference_mode()
def race(ours: Run, theirs: Run, quick: bool = False, rounds: int | None = None) -> Race:
    """Time both in turns, the first changing every round, after a warm-up that also sets the number of rounds, if none is given.

    Whoever calls this has compared the two answers before.
    """
    runs = {"ours": ours, "theirs": theirs}
    slowest = max(seconds_of(run) for run in runs.values())
    rounds = 1 if quick else rounds or (LONG_ROUNDS if slowest > LONG_SECONDS else ROUNDS)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    for index in range(rounds):
        for name in list(runs)[:: -1 if index % 2 else 1]:
            seconds[name].append(seconds_of(runs[name]))
    ratios = tuple(t / o for o, t in zip(seconds["ours"], seconds["theirs"], strict=True))
    return Race(Spread.of(seconds["ours"]), Spread.of(seconds["theirs"]), ratios)


def in_fresh_process(module: str, function: str, *arguments: object) -> Any:
    """What `benchmarks.<module>.<function>(*arguments)` answers in a process of its own; everything must fit JSON."""
    source = (
        f"import json, sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'tests')]!r}; "
        f"from benchmarks.{module} import {function}; print(json.dumps({function}(*{arguments!r})))"
    )
    done = subprocess.run([sys.executable, "-c", source], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def resident_bytes(peak: bool = False) -> int:
    """Memory of this process, now or at most so far, mapped file pages included (Linux).

    Read from /proc: the `ru_maxrss` of a child starts with the memory of the process that started it.
    """
    label = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(label))


def forget_peak() -> None:
    """From here on the most that this process has taken is what it takes now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


@cache
def usable() -> tuple[str, ...]:
    """The dtypes that this device has: bf16 without instructions for it takes several times as long as fp32, in some products a hundred."""
    small = {name: gemm_peak(dtype, 256) for name, dtype in DTYPES.items()}
    return tuple(name for name, speed in small.items() if speed >= CRAWLING * small["fp32"])


def usual() -> str:
    """The dtype that a model is run in here: bf16 where the device has it."""
    return "bf16" if "bf16" in usable() else "fp32"


def kind() -> str:
    """What the results' names bear, so that machines with other instructions keep theirs: nothing where bf16 has units of its own."""
    if usual() == "fp32":
        return "-fp32"
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)  # an older torch cannot tell
    return "-avx512" if device() == "cpu" and not (tiles and tiles()) else ""


def gemm_peak(dtype: torch.dtype, size: int = 2048) -> float:
    """The FLOP per second of a large matrix product, the machine's bound for everything here."""
    a = torch.randn(size, size, device=device()).to(dtype)
    return 2 * size**3 / min(seconds_of(lambda: a @ a) for _ in range(ROUNDS))


def use_every_core() -> None:
    """As many threads as the process may use cores, so that a run does not depend on the caller's environment."""
    own = getattr(os, "sched_getaffinity", None)  # of Linux alone
    torch.set_num_threads(len(own(0)) if own else os.cpu_count() or 1)


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "cpu": cpu_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device(),
        "gemm_gflops": {name: round(gemm_peak(DTYPES[name]) / 1e9) for name in usable()},
        "python": platform.python_version(),
        **{name: version_of(name) for name in ("torch", "diffusers", "transformers")},
    }


def version_of(name: str) -> str:
    """The version of a package; a card is measured where only some of them are."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def cpu_name() -> str:
    """The processor as it calls itself."""
    told = Path("/proc/cpuinfo")  # of Linux alone
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()
