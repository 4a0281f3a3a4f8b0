"""A small planner of transformers and ours with the same weights, and the plain way to choose tokens."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from acestep_core.checkpoints.weights import load_exactly
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.planner.network import PlannerNetwork
from acestep_core.planner.token_sampling import SamplingParams

SIZES = Qwen3Sizes(
    vocab_size=90,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    rms_norm_eps=1e-6,
    rope_theta=1e6,
)
CODES, END = range(50, 80), 45


def pair(sizes: Qwen3Sizes = SIZES, tied: bool = True, ops: Any = nn) -> tuple[Any, PlannerNetwork]:
    """(theirs, ours), fp32."""
    torch.manual_seed(0)
    rope = {"rope_type": "default", "rope_theta": sizes.rope_theta}
    config = Qwen3Config(**asdict(sizes), rope_parameters=rope, tie_word_embeddings=tied)
    theirs = Qwen3ForCausalLM(config).train(False).requires_grad_(False)
    for name, weight in theirs.named_parameters():
        weight.normal_(1.0 if "norm" in name else 0.0, 0.1 if "norm" in name else 0.3)
    state = {key.removeprefix("model."): weight for key, weight in theirs.state_dict().items()}
    if tied:
        del state["lm_head.weight"]
    return theirs, load_exactly(lambda: PlannerNetwork(sizes, ops, tied), state)


def head(network: PlannerNetwork, hidden: Tensor, tokens: slice | Tensor = slice(None)) -> Tensor:
    """Logits [..., V] of some tokens. hidden: [..., W]."""
    return F.linear(hidden, network.rows(tokens, hidden.device, hidden.dtype))


def logits_after(theirs: Any, ids: Sequence[int]) -> Tensor:
    """All logits [V] of what follows, by one pass over everything."""
    return theirs(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]


def plain_choice(
    logits: list[float], params: SamplingParams, uniform: float, seen: Sequence[int] = ()
) -> int:
    """The index of the chosen candidate, step by step as the rule is told."""
    scores = [
        (score * params.penalty if score < 0 else score / params.penalty) if index in seen else score
        for index, score in enumerate(logits)
    ]
    if params.temperature == 0:
        return max(range(len(scores)), key=lambda index: scores[index])
    highest = max(scores)
    weights = [math.exp((score - highest) / params.temperature) for score in scores]
    kept = sorted(range(len(weights)), key=lambda index: -weights[index])
    kept = kept[: params.top_k or None]
    total, reached, nucleus = sum(weights[index] for index in kept), 0.0, []
    for index in kept:
        if params.top_p < 1 and reached > params.top_p:
            break
        nucleus.append(index)
        reached += weights[index] / total
    likely = [index for index in nucleus if weights[index] >= params.min_p * weights[nucleus[0]]]
    mark, heap = uniform * sum(weights[index] for index in likely), 0.0
    for index in sorted(likely):
        heap += weights[index]
        if heap > mark:
            return index
    return max(likely)


def uniforms(seed: int, count: int) -> list[float]:
    """The numbers of one item."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand((), generator=generator).item() for _ in range(count)]


def plain_composition(
    theirs: Any,
    prompt: Sequence[int],
    negative: Sequence[int] | None,
    count: int,
    seed: int,
    params: SamplingParams,
) -> list[int]:
    """Code numbers of one item, without cache, batch or slices."""
    written: list[int] = []
    for uniform in uniforms(seed, count):
        own = [code + CODES.start for code in written]
        logits = logits_after(theirs, [*prompt, *own])
        if negative is not None:
            away = logits_after(theirs, [*negative, *own])
            logits = away + params.cfg * (logits - away)
        candidates = logits[CODES.start : CODES.stop].tolist()
        written.append(plain_choice(candidates, params, uniform, written))
    return written
