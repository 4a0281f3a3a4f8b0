"""How long the transformer takes to load from a warm page cache, and how much memory it then holds.

    python benchmarks/bench_load.py [--xl] [--dtype float32] [--repeats 5] [--keep FILE]

Gate: a 3.15 GB bf16 file in at most 0.2 s, resident memory after every weight was used at most 1.05 times the file.
"""

import argparse
import gc
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from checkpoint_shapes import FULL_SIZE, FULL_SIZE_XL, model_shapes  # noqa: E402  after the path is set

from acestep_core.config import ModelConfig  # noqa: E402
from acestep_core.dit import DiffusionTransformer  # noqa: E402
from acestep_core.load import PLAIN  # noqa: E402
from acestep_core.weights import Weights, load_exactly  # noqa: E402

GATE_SECONDS = 0.2
GATE_MEMORY = 1.05
PATTERN = 1 << 22  # so many random values are repeated over the whole file


def write_transformer(path: Path, xl: bool) -> None:
    """A bf16 file with the transformer's real shapes."""
    values = torch.randn(PATTERN, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    shapes = model_shapes(FULL_SIZE_XL if xl else FULL_SIZE)
    tensors = {}
    for key, shape in shapes.items():
        if key.startswith("decoder.") or key == "null_condition_emb":
            size = math.prod(shape)
            tensors[key.removeprefix("decoder.")] = values.repeat(-(-size // PATTERN))[:size].view(shape)
    save_file(tensors, path)


def resident(peak: bool = False) -> int:
    """Resident memory of this process in bytes, as Linux counts it (mapped file pages included)."""
    label = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(label))


def measure(path: Path, xl: bool, dtype: torch.dtype | None) -> dict[str, float]:
    """Load once in this process, then use every weight."""
    config = ModelConfig.from_json(FULL_SIZE_XL if xl else FULL_SIZE)
    with torch.device("meta"):  # what torch does once in a process
        DiffusionTransformer(ModelConfig.from_json({**FULL_SIZE, **SMALL}), PLAIN)
    gc.collect()  # the garbage of the imports is not the loader's
    before = resident()
    started = time.perf_counter()
    weights = Weights.open(path)
    opened = time.perf_counter()
    module = load_exactly(lambda: DiffusionTransformer(config, PLAIN), weights, dtype)
    finished = time.perf_counter()
    after = resident()
    total = sum(
        float(parameter.view(-1)[:: 4096 // parameter.itemsize].sum()) for parameter in module.parameters()
    )
    return {
        "open_s": opened - started,
        "load_s": finished - started,
        "rss_loaded": (after - before) / path.stat().st_size,
        "rss_used": (resident() - before) / path.stat().st_size,
        "rss_peak": (resident(peak=True) - before) / path.stat().st_size,
        "checksum": total,
    }


SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"],
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}


def in_fresh_processes(path: Path, given: argparse.Namespace) -> list[dict[str, float]]:
    """Measure several times, each in a process of its own, so that memory is counted from nothing."""
    options = [*(["--xl"] if given.xl else []), *(["--dtype", given.dtype] if given.dtype else [])]
    command = [sys.executable, __file__, "--measure", str(path), *options]
    return [json.loads(subprocess.check_output(command, text=True)) for _ in range(given.repeats)]


def main() -> int:
    """Run the whole benchmark; the exit status says whether the gate held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--xl", action="store_true")
    parser.add_argument(
        "--dtype", choices=("float32", "float16", "bfloat16"), help="cast to this; else the file's"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="write the file here and leave it")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(
            json.dumps(measure(given.measure, given.xl, getattr(torch, given.dtype) if given.dtype else None))
        )
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder) / "transformer.safetensors"
        if not path.exists():
            write_transformer(path, given.xl)
        runs = in_fresh_processes(path, given)
        size = path.stat().st_size
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print(f"file {size / 1e9:.2f} GB, median of {len(runs)} fresh processes, page cache warm")
    print(f"open {median['open_s']:.3f} s, load {median['load_s']:.3f} s (gate {GATE_SECONDS} s)")
    print(
        f"resident / file: loaded {median['rss_loaded']:.3f}, every weight used {median['rss_used']:.3f}, "
        f"peak {median['rss_peak']:.3f} (gate {GATE_MEMORY})"
    )
    return int(median["load_s"] > GATE_SECONDS or median["rss_peak"] > GATE_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
