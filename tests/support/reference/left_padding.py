"""The plain way to sample with a batch of unequal prompts: left padding, a mask, positions and a cache that grows."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from acestep_core.planner.token_sampling import SamplingParams
from support.reference.planner import CODES, END, plain_choice, uniforms

PAD = 77  # an ordinary token, which would be noticed if it were seen


class Padded:
    """Transformers' network and the rows that it has read."""

    def __init__(self, theirs: Any, rows: Sequence[Sequence[int]]) -> None:
        self.theirs, self.cache = theirs, DynamicCache(config=theirs.config)
        width = max(map(len, rows))
        self.mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        self.logits = self._forward(torch.tensor([[PAD] * (width - len(row)) + [*row] for row in rows]))

    def _forward(self, ids: Tensor) -> Tensor:
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.theirs(
            ids, attention_mask=self.mask, position_ids=positions, past_key_values=self.cache, use_cache=True
        )
        return out.logits[:, -1]

    def read(self, tokens: Sequence[int]) -> Tensor:
        """One more token for each row -> all logits [R, V] of what follows."""
        self.mask = torch.cat((self.mask, torch.ones(len(self.mask), 1, dtype=torch.int64)), 1)
        self.logits = self._forward(torch.tensor(tokens)[:, None])
        return self.logits


def mixed(logits: Tensor, items: int, cfg: float) -> Tensor:
    """Guided logits [I, V] of conditional rows and, if there are any, unconditional ones behind them."""
    if len(logits) == items:
        return logits
    with_prompt, without = logits[:items], logits[items:]
    return without + cfg * (with_prompt - without)


def padded_codes(
    theirs: Any,
    prompts: Sequence[Sequence[int]],
    count: int,
    seeds: Sequence[int],
    params: SamplingParams,
    may_stop: bool = False,
) -> tuple[list[list[int]], list[Tensor], list[list[int]]]:
    """Code numbers of each song; and, step by step, all logits [R, V] and the tokens that were read after them."""
    items = len(seeds)
    candidates = [*CODES, END] if may_stop else [*CODES]
    batch = Padded(theirs, [prompt for prompt in prompts for _ in seeds])
    numbers = [uniforms(seed, count) for seed in seeds]
    written: list[list[int]] = [[] for _ in seeds]
    steps, columns = [], []
    for step in range(count):
        steps.append(batch.logits)
        scores = mixed(batch.logits, items, params.cfg)[:, candidates].tolist()
        for item, own in enumerate(written):
            own.append(plain_choice(scores[item], params, numbers[item][step], own))
        columns.append([candidates[own[-1]] for own in written])
        batch.read(columns[-1] * len(prompts))
    ends = [own.index(len(CODES)) if len(CODES) in own else count for own in written]
    return [own[:end] for own, end in zip(written, ends, strict=True)], steps, columns


def padded_text(
    theirs: Any, prompts: Sequence[Sequence[int]], walk: Any, params: SamplingParams, seed: int, limit: int
) -> list[int]:
    """At most `limit` tokens of one text, every one of them read on its own."""
    batch, numbers, text = Padded(theirs, prompts), iter(uniforms(seed, limit)), list[int]()
    while not walk.done and len(text) < limit:
        token = next(iter(walk.forced()), None)
        if token is None:
            point = walk.choice()
            ids = point.allowed.tolist()
            scores = mixed(batch.logits, 1, params.cfg)[0, ids].tolist()
            seen = indices(ids, text)
            if point.greedy:
                likeliest = SamplingParams(temperature=0, penalty=params.penalty)
                token = ids[plain_choice(scores, likeliest, 0.0, seen)]
            else:
                token = ids[plain_choice(scores, params, next(numbers), seen)]
        walk.take(token)
        text.append(token)
        batch.read([token] * len(prompts))
    return text


def indices(ids: Iterable[int], text: Sequence[int]) -> list[int]:
    """Where among the candidates those stand that were written already."""
    return [index for index, token in enumerate(ids) if token in text]
