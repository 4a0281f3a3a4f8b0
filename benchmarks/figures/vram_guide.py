"""What memory a card needs, counted without one: `python benchmarks/figures/vram_guide.py` puts the table into the README.

Weights are counted from the published shapes, activations are the estimates that the nodes give ComfyUI before they
load anything. Nothing here was measured on a card.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)  # instead of this folder
sys.path.insert(1, str(ROOT / "tests"))  # where the published shapes are written down

from acestep_core.networks.config import ModelConfig  # noqa: E402
from acestep_core.networks.costs import encoding_bytes, planning_bytes, sampling_bytes  # noqa: E402
from acestep_core.networks.tiling import TILE_LADDER, activation_bytes  # noqa: E402
from acestep_core.text.conditions import LYRIC_TOKENS  # noqa: E402
from acestep_core.timebase import codes_of, frames_of  # noqa: E402
from benchmarks.bench_planner import LARGER, SIZES  # noqa: E402
from support.reference.vae import FULL  # noqa: E402
from support.tiny.shapes import FULL_QWEN, FULL_SIZE, FULL_SIZE_XL, model_shapes, qwen_shapes  # noqa: E402  after the path

README = ROOT / "README.md"
BEGIN, END = "<!-- vram:begin -->", "<!-- vram:end -->"
BF16 = 2  # bytes of a number
TOKENS = 2048  # of a long condition
TEXT_TOKENS, SONG_SECONDS = 600, 120.0  # of a planner's prompt; of the song that it composes
LENGTHS = (30.0, 120.0, 240.0, 600.0)  # seconds
MODELS = (
    ("turbo (2B)", FULL_SIZE, 8, False),
    ("base, sft (2B)", FULL_SIZE, 50, True),
    ("XL turbo", FULL_SIZE_XL, 8, False),
    ("XL base, sft", FULL_SIZE_XL, 50, True),
)


def weights(shapes: Mapping[str, tuple[int, ...]], *prefixes: str) -> int:
    """Bytes of these parts in bf16."""
    return BF16 * sum(prod(shape) for key, shape in shapes.items() if key.startswith(prefixes))


def gigabytes(size: float) -> str:
    """A size with one decimal."""
    return f"{size / 2**30:.1f}"


def row(name: str, raw: dict[str, Any], steps: int, guided: bool) -> str:
    """A model's weights, and what a run of each length adds."""
    config, shapes = ModelConfig.from_json(raw), model_shapes(raw)
    transformer = weights(shapes, "decoder.", "null_condition_emb")
    encoders = weights(shapes, "encoder.") + weights(qwen_shapes(FULL_QWEN), "")
    runs = [sampling_bytes(config, 1, frames_of(seconds), TOKENS, steps, guided, BF16) for seconds in LENGTHS]
    encoding = encoders + encoding_bytes(config.encoder_stack, LYRIC_TOKENS, BF16)
    cells = [name, gigabytes(transformer), gigabytes(encoding), *map(gigabytes, runs)]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """The whole guide, in Markdown."""
    heads = [f"run of {seconds:g} s" for seconds in LENGTHS]
    lines = [
        f"| GiB in bf16, estimated | transformer | encoding words | {' | '.join(heads)} |",
        "| --- " * (3 + len(LENGTHS)) + "|",
        *(row(*model) for model in MODELS),
    ]
    smallest, largest = (
        gigabytes(activation_bytes(tile, FULL, torch.bfloat16)) for tile in (TILE_LADDER[-1], TILE_LADDER[0])
    )
    planners = {"0.6B": SIZES, **LARGER}
    tokens = TEXT_TOKENS + codes_of(SONG_SECONDS)
    needs = [
        f"{name} {gigabytes(weights(qwen_shapes(asdict(sizes)), ''))} and "
        f"{gigabytes(planning_bytes(sizes, 2, tokens, torch.bfloat16))}"
        for name, sizes in planners.items()
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"The VAE takes 0.3 GiB, and {smallest} to {largest} GiB for its tiles, at any length. The planner's weights and what it",
            f"remembers while it composes {SONG_SECONDS:g} s: {', '.join(needs)} GiB.",
        ]
    )


def main() -> None:
    """Print the table and put it into the README."""
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"README.md lacks {BEGIN} and {END}.")
    made = table()
    README.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
