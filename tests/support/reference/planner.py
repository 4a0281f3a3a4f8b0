"""A small planner of transformers and ours with the same weights, and the plain way to choose tokens."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from acestep_core.checkpoints.weights import load_exactly
from acestep_core.networks.qwen3 import Qwen3Sizes
from acestep_core.planner.network import Planner
from acestep_core.planner.token_sampling import Choice

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


def pair(sizes: Qwen3Sizes = SIZES, tied: bool = True, ops: Any = nn) -> tuple[Any, Planner]:
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
    return theirs, load_exactly(lambda: Planner(sizes, ops, tied), state)


def logits_after(theirs: Any, ids: Sequence[int]) -> Tensor:
    """All logits [V] of what follows, by one pass over everything."""
    return theirs(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]


def plain_choice(logits: list[float], choice: Choice, uniform: float, written: Sequence[int] = ()) -> int:
    """The place of the chosen candidate, step by step as the rule is told."""
    scores = [
        (score * choice.penalty if score < 0 else score / choice.penalty) if place in written else score
        for place, score in enumerate(logits)
    ]
    if choice.temperature == 0:
        return max(range(len(scores)), key=lambda place: scores[place])
    highest = max(scores)
    weights = [math.exp((score - highest) / choice.temperature) for score in scores]
    kept = sorted(range(len(weights)), key=lambda place: -weights[place])
    kept = kept[: choice.top_k or None]
    total, reached, nucleus = sum(weights[place] for place in kept), 0.0, []
    for place in kept:
        if choice.top_p < 1 and reached > choice.top_p:
            break
        nucleus.append(place)
        reached += weights[place] / total
    likely = [place for place in nucleus if weights[place] >= choice.min_p * weights[nucleus[0]]]
    mark, heap = uniform * sum(weights[place] for place in likely), 0.0
    for place in sorted(likely):
        heap += weights[place]
        if heap > mark:
            return place
    return max(likely)


def uniforms(seed: int, count: int) -> list[float]:
    """The numbers of one item."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand((), generator=generator).item() for _ in range(count)]


def plain_composition(
    theirs: Any, prompt: Sequence[int], negative: Sequence[int] | None, count: int, seed: int, choice: Choice
) -> list[int]:
    """Code numbers of one item, without cache, batch or slices."""
    written: list[int] = []
    for uniform in uniforms(seed, count):
        own = [code + CODES.start for code in written]
        logits = logits_after(theirs, [*prompt, *own])
        if negative is not None:
            away = logits_after(theirs, [*negative, *own])
            logits = away + choice.cfg * (logits - away)
        candidates = logits[CODES.start : CODES.stop].tolist()
        written.append(plain_choice(candidates, choice, uniform, written))
    return written
