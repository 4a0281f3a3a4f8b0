"""One evaluation of the transformer at real widths: against diffusers', same weights and inputs, and against the machine."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from acestep_core.networks import attention
from acestep_core.networks.dit import CrossAttended, DiffusionTransformer
from acestep_core.timebase import frames_of
from benchmarks.figures.operations import counted, kernel
from benchmarks.full_size import distance, transformers, with_layers
from benchmarks.harness import DTYPES, Row, device, race, timed, usable

LAYERS = 4  # of 24: the ratio hardly depends on the depth
TOKENS = 769  # 512 of lyrics, one of timbre, 256 of caption
T = 0.75
EQUAL = {"fp32": 1e-4, "bf16": 3e-2}  # relative difference to diffusers


class Item(NamedTuple):
    """What is evaluated, and the least and the wanted times as fast."""

    seconds: float
    dtype: str
    guided: bool
    gate: float
    goal: float


ITEMS = (
    Item(10, "bf16", False, 4.5, 6.5),
    Item(30, "bf16", False, 2.5, 3.2),
    Item(120, "bf16", False, 1.4, 1.8),
    Item(30, "fp32", False, 1.15, 1.25),
    Item(30, "bf16", True, 2.8, 3.6),
)


SHARES = tuple(
    Item(seconds, dtype, False, 0.6, 0.8) for dtype in DTYPES for seconds in (30, 240)
)  # of the best matrix product


def run(quick: bool) -> list[Row]:
    """Every item."""
    items, shares = ([item for item in kind if item.dtype in usable()] for kind in (ITEMS, SHARES))
    items, shares = (items[:1], shares[-2:-1]) if quick else (items, shares)
    pairs = {name: transformers(with_layers(LAYERS), DTYPES[name]) for name in {item.dtype for item in items}}
    rows = [measured(item, *pairs[item.dtype], quick) for item in items]
    rows += [share_of_limit(item, *pairs[item.dtype], quick) for item in shares]
    if device() == "cpu" and attention.has_instructions_alone():
        rows += [forms(item, *pairs[item.dtype], quick) for item in shares if item.dtype == "bf16"]
    return rows


@torch.inference_mode()
def measured(item: Item, theirs: Any, ours: DiffusionTransformer, quick: bool) -> Row:
    """Compare both answers, then race."""
    evaluate_ours, evaluate_theirs = evaluations(item, theirs, ours)
    apart = distance(evaluate_ours(), evaluate_theirs())
    name = f"transformer, {item.seconds:g} s, {item.dtype}{', guided' if item.guided else ''}"
    assert apart <= EQUAL[item.dtype], (
        f"{name}: {apart:.1e} from diffusers, {EQUAL[item.dtype]:.1e} is allowed"
    )
    found = race(evaluate_ours, evaluate_theirs, quick)
    return Row.of_race(name, found, item.gate, item.goal, difference=apart, layers=LAYERS)


@torch.inference_mode()
def forms(item: Item, theirs: Any, ours: DiffusionTransformer, quick: bool) -> Row:
    """An evaluation that attends by products, where this processor would, against one with torch's kernel."""
    evaluate = evaluations(item, theirs, ours)[0]

    def with_kernel() -> Tensor:
        with kernel():
            return evaluate()

    apart = distance(evaluate(), with_kernel())
    name = f"transformer, {item.seconds:g} s, {item.dtype}: attention by products, against torch's kernel"
    assert apart <= EQUAL[item.dtype], f"{name}: {apart:.1e} apart"
    return Row.of_race(name, race(evaluate, with_kernel, quick), 1.0, difference=apart, layers=LAYERS)


@torch.inference_mode()
def share_of_limit(item: Item, theirs: Any, ours: DiffusionTransformer, quick: bool) -> Row:
    """Our operations per second over those of the best matrix product that torch has for a layer's sizes, in turns."""
    evaluate = evaluations(item, theirs, ours)[0]
    operations = counted(evaluate)
    product = best_product(ours, frames_of(item.seconds))
    of_product = counted(product)
    many = max(1, round(operations / of_product / 4))
    found = race(evaluate, lambda: [product() for _ in range(many)], quick)
    share = found.ratio * operations / (many * of_product)
    name = f"transformer, {item.seconds:g} s, {item.dtype}: share of the best matrix product"
    speeds = {
        "gflops": operations / found.ours.median / 1e9,
        "of_product": many * of_product / found.theirs.median / 1e9,
    }
    return Row(name, share, "", item.gate, item.goal, details={**speeds, "layers": LAYERS})


def best_product(ours: DiffusionTransformer, frames: int) -> Callable[[], Tensor]:
    """The fastest of torch's products: square, and the widest of a layer for as many tokens as there are."""
    weight = ours.blocks()[0].mlp.up_proj.weight
    x = torch.randn(frames // ours.patch, weight.shape[1]).to(weight)
    square = torch.randn(len(weight.T), len(weight.T)).to(weight)
    candidates = (lambda: square @ square, lambda: F.linear(x, weight), lambda: F.linear(square, weight))
    return min(candidates, key=lambda product: timed(product).least / counted(product))


def evaluations(
    item: Item, theirs: Any, ours: DiffusionTransformer, tokens: int = TOKENS
) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """The same evaluation as a sampling loop makes it, ours and theirs."""
    generator, frames, dtype = torch.Generator().manual_seed(0), frames_of(item.seconds), DTYPES[item.dtype]
    width = ours.null_condition_emb.shape[-1]
    sizes = ((1, frames, 64), (1, frames, 128), (1, tokens, width))
    x, context, enc = (torch.randn(size, generator=generator).to(device(), dtype) for size in sizes)
    attended = CrossAttended(ours.key_values(list(enc)), ours.null_outputs(x) if item.guided else None)
    modulation = ours.modulations(torch.tensor([T], device=device(), dtype=dtype))[0]
    positions = ours.positions(frames, x)
    branches = 2 if item.guided else 1
    if item.guided:
        enc = torch.cat((enc, ours.null_condition_emb.expand_as(enc)))
    times = torch.full((branches,), T, device=device(), dtype=dtype)

    def evaluate_theirs() -> Tensor:
        doubled = (tensor.repeat(branches, 1, 1) for tensor in (x, context))
        state, shown = doubled
        return theirs(state, times, times, enc, shown, return_dict=False)[0]

    def evaluate_ours() -> Tensor:
        velocities = ours(x, context, modulation, attended, positions)
        return torch.cat(velocities) if item.guided else velocities.cond

    return evaluate_ours, evaluate_theirs
