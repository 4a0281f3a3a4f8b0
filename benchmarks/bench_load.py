"""How long the transformer takes to load from a warm page cache, and how much memory it then holds."""

import gc
import math
import statistics
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from acestep_core.checkpoints.load import PLAIN
from acestep_core.checkpoints.weights import Weights, load_exactly
from acestep_core.networks.config import ModelConfig
from acestep_core.networks.dit import DiffusionTransformer
from benchmarks.harness import Row, in_fresh_process, resident_bytes
from support.tiny.shapes import FULL_SIZE, model_shapes

REPEATS = 5
PATTERN = 1 << 22  # so many random values are repeated over the whole file
PAGE = 4096
SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_lyric_encoder_hidden_layers": 1,
    "num_timbre_encoder_hidden_layers": 1,
    "num_attention_pooler_hidden_layers": 1,
    "layer_types": ["sliding_attention", "full_attention"],
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}


def run(quick: bool) -> list[Row]:
    """Load one file in several fresh processes: the medians of time and of memory over the file's size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transformer.safetensors"
        write_transformer(path)
        runs = [in_fresh_process("bench_load", "measure", str(path)) for _ in range(1 if quick else REPEATS)]
        item = f"load {path.stat().st_size / 1e9:.2f} GB, page cache warm"
    seconds, memory = (statistics.median(found[name] for found in runs) for name in ("load_s", "rss_peak"))
    return [
        Row(item, seconds, "s", 0.2, 0.05, more_is_better=False, details={"runs": runs}),
        Row(f"{item}: peak memory over file size", memory, "", 1.05, more_is_better=False),
    ]


def write_transformer(path: Path) -> None:
    """A bf16 file with the transformer's real shapes."""
    values = torch.randn(PATTERN, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    tensors = {}
    for key, shape in model_shapes(FULL_SIZE).items():
        if key.startswith("decoder.") or key == "null_condition_emb":
            size = math.prod(shape)
            tensors[key.removeprefix("decoder.")] = values.repeat(-(-size // PATTERN))[:size].view(shape)
    save_file(tensors, path)


def measure(file: str) -> dict[str, float]:
    """Load once in this fresh process, then read from every page of every weight."""
    path, config = Path(file), ModelConfig.from_json(FULL_SIZE)
    with torch.device("meta"):  # what torch does once in a process
        DiffusionTransformer(ModelConfig.from_json({**FULL_SIZE, **SMALL}), PLAIN)
    gc.collect()  # the garbage of the imports is not the loader's
    before = resident_bytes()
    started = time.perf_counter()
    module = load_exactly(lambda: DiffusionTransformer(config, PLAIN), Weights.open(path))
    loaded = time.perf_counter() - started
    checksum = sum(float(p.view(-1)[:: PAGE // p.itemsize].sum()) for p in module.parameters())
    over = resident_bytes(peak=True) - before
    return {"load_s": loaded, "rss_peak": over / path.stat().st_size, "checksum": checksum}
