"""Counts that no clock can blur: operators, floating-point operations, evaluations, encodings."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from acestep_core.networks.dit import CrossAttended, DiffusionTransformer
from support.reference.oracle import SMALL, TURBO, randomise

VIEWS = {
    "view",
    "_unsafe_view",
    "t",
    "transpose",
    "permute",
    "expand",
    "unsqueeze",
    "squeeze",
    "slice",
    "select",
    "split",
}
VIEWS |= {
    "unbind",
    "detach",
    "alias",
    "as_strided",
    "unfold",
    "reshape",
    "unflatten",
    "empty",
    "empty_like",
    "split_with_sizes",
}
OF_A_NORM = (
    "pow",
    "mean",
    "add_",
    "rsqrt",
    "mul",
    "mul",
)  # one norm, where the backend has no operator for it


class Operators(TorchDispatchMode):
    """Counts what launches work; a norm counts as one."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.split("::")[1]
        if name not in VIEWS:
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))

    def count(self) -> int:
        return sum(self.seen.values()) - (len(OF_A_NORM) - 1) * self.seen["rsqrt"]


def prepared(transformer, frames: int, guided: bool, tokens: int = 9):
    config_latent = transformer.proj_in[1].in_channels // 3
    width = transformer.condition_embedder.in_features
    x, context = torch.randn(1, frames, config_latent), torch.randn(1, frames, 2 * config_latent)
    key_values = transformer.key_values([torch.randn(tokens, width)])
    attended = CrossAttended(key_values, transformer.null_outputs(x) if guided else None)
    modulation = transformer.modulations(torch.tensor([0.5]))[0]
    return x, context, modulation, attended, transformer.positions(frames, x)


def operators(layers: int, frames: int, guided: bool) -> int:
    config = replace(
        SMALL, num_hidden_layers=layers, layer_types=("sliding_attention", "full_attention") * (layers // 2)
    )
    transformer = randomise(DiffusionTransformer(config, nn), seed=0)
    given = prepared(transformer, frames, guided)
    with torch.no_grad(), Operators() as counting:
        transformer(*given)
    return counting.count()


@pytest.mark.parametrize(("frames", "guided", "most"), [(10, False, 30), (60, False, 33), (60, True, 37)])
def test_a_layer_launches_few_operators(frames, guided, most):
    per_layer = (operators(4, frames, guided) - operators(2, frames, guided)) / 2
    assert per_layer <= most


def exact_flops(frames: int, tokens: int) -> float:
    """2 * multiply-adds of one evaluation with cross-attention memory at hand and a window that wastes nothing."""
    n, d, kv, mlp = -(-frames // 2), 2048, 1024, 6144
    linear = n * (2 * d * d + 2 * d * kv) + n * 2 * d * d + 3 * n * d * mlp
    band = 2 * sum(min(n, i + 129) - max(0, i - 128) for i in range(n)) * d
    ends = n * 2 * 192 * d + n * 2 * 64 * d
    return 2 * (24 * (linear + 2 * n * tokens * d) + 12 * band + 12 * 2 * n * n * d + ends)


@pytest.mark.parametrize("frames", [250, 750, 3_000, 6_000, 15_000])
def test_an_evaluation_costs_within_a_hundredth_of_what_it_must(frames):
    with torch.device("meta"), torch.no_grad():
        given = prepared(transformer := DiffusionTransformer(TURBO, nn), frames, guided=False, tokens=769)
        with FlopCounterMode(display=False) as counting:
            transformer(*given)
    assert counting.get_total_flops() <= 1.01 * exact_flops(frames, 769)


def test_guidance_doubles_all_but_the_cross_attention():
    with torch.device("meta"), torch.no_grad():
        transformer = DiffusionTransformer(TURBO, nn)
        counts = []
        for guided in (False, True):
            given = prepared(transformer, 750, guided, tokens=769)
            with FlopCounterMode(display=False) as counting:
                transformer(*given)
            counts.append(counting.get_total_flops())
    assert counts[1] / counts[0] < 1.83
