"""How the next token is sampled from logits: guidance, filters, and one uniform number per token and item."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..seeds import generator_of

LIKELY = 512  # candidates that hold the nucleus of most distributions
BROKEN = -1  # in place of a candidate
AHEAD = 256  # numbers per item that go to the device at a time, so that it is not waited for at each token


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How freely tokens are chosen; the defaults are the published ones."""

    temperature: float = 0.85  # 0: always the likeliest
    cfg: float = 2.0  # 1: the negative prompt is not read
    top_p: float = 0.9  # 1: off
    top_k: int = 0  # 0: off
    min_p: float = 0.0  # of the likeliest candidate's probability; 0: off
    penalty: float = 1.0  # on tokens that the item holds already; 1: off

    def __post_init__(self) -> None:
        bounds = {  # least, most, whether the least itself is allowed
            "temperature": (self.temperature, 0.0, math.inf, True),
            "guidance": (self.cfg, 0.0, math.inf, True),
            "top-p": (self.top_p, 0.0, 1.0, False),
            "top-k": (self.top_k, 0.0, math.inf, True),
            "min-p": (self.min_p, 0.0, 1.0, True),
            "repetition penalty": (self.penalty, 0.0, math.inf, False),
        }
        for name, (given, least, most, closed) in bounds.items():
            inside = (least <= given if closed else least < given) and given <= most and math.isfinite(given)
            if not inside:
                floor = f"{'at least' if closed else 'above'} {least:g}"
                ceiling = f" and at most {most:g}" if math.isfinite(most) else ""
                raise InvalidInputError(f"The {name} is {given:g}.", f"Set it {floor}{ceiling}.")


class Dice:
    """The uniform numbers of some items, each from its own seed, drawn on the CPU."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [generator_of(seed) for seed in seeds]
        self._ahead: Iterator[Tensor] = iter(())

    def roll(self, like: Tensor) -> Tensor:
        """The next number of every item [I], fp32 in [0, 1), on the device of `like`."""
        rolled = next(self._ahead, None)
        if rolled is None:
            ahead = [torch.rand(AHEAD, generator=own) for own in self._generators]
            self._ahead = iter(torch.stack(ahead, 1).to(like.device))
            rolled = next(self._ahead)
        return rolled


def or_broken(chosen: Tensor, logits: Tensor) -> Tensor:
    """The chosen candidates, or BROKEN where the logits of the item are not finite."""
    return torch.where(logits.sum(-1).isfinite(), chosen, BROKEN)


def refuse_broken(chosen: Iterable[int]) -> None:
    """Refuse to go on from what is no number."""
    if BROKEN in chosen:
        raise InvalidInputError(
            "The planner's numbers are not finite.", "Choose bf16 or fp32 as its weight dtype."
        )


def guided(logits: Tensor, items: int, scale: float) -> Tensor:
    """Conditional rows first, unconditional ones after them if there are any: [I or 2 I, V] -> fp32 [I, V]."""
    logits = logits.float()
    if len(logits) == items:
        return logits
    conditional, unconditional = logits.split(items)
    return unconditional + scale * (conditional - unconditional)


def penalised(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Push down tokens that an item holds already. logits: [I, V]; seen: bool [I, V]."""
    pushed = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(seen, pushed, logits)


def choose(logits: Tensor, params: SamplingParams, uniform: Tensor) -> Tensor:
    """The index of one candidate for each of the items. logits: fp32 [I, V]; uniform: [I]."""
    if params.temperature == 0:
        return logits.argmax(-1)
    highest = logits.amax(-1, keepdim=True)  # so that no temperature is too low to divide by
    chances = ((logits - highest) / params.temperature).softmax(-1)
    if params.top_k == 0 and params.top_p == 1 and params.min_p == 0:
        return draw(chances, uniform)
    least = smallest_kept(chances, params)
    return draw(chances.where(chances >= least, 0), uniform)


def smallest_kept(chances: Tensor, params: SamplingParams) -> Tensor:
    """The smallest chance that passes the filters, per item [I, 1]; equal chances stay or go together."""
    few = max(LIKELY, params.top_k + 1)
    if chances.device.type == "cpu" and few < chances.shape[-1]:
        falling = chances.topk(few).values
        kept = passing(falling, params)
        if not kept[:, -1].any():  # asked on the CPU alone, where the answer is not waited for
            return falling.where(kept, torch.inf).amin(-1, keepdim=True)
    falling = all_falling(chances)
    return falling.where(passing(falling, params), torch.inf).amin(-1, keepdim=True)


def all_falling(chances: Tensor) -> Tensor:
    """All chances [I, V], the largest first. NumPy sorts numbers alone, in a third of torch's time on a CPU."""
    if chances.device.type == "cpu":
        return torch.from_numpy(-np.sort(-chances.numpy(), axis=-1))
    return chances.sort(descending=True).values


def passing(falling: Tensor, params: SamplingParams) -> Tensor:
    """Which of the largest chances [I, n] pass top-k, then top-p, then min-p; the first one always does."""
    kept = torch.ones_like(falling, dtype=torch.bool)
    if params.top_k:
        kept &= falling >= falling[:, min(params.top_k, falling.shape[-1]) - 1, None]
    if params.top_p < 1:
        own = falling * kept
        before = own.cumsum(-1) - own
        kept &= before <= params.top_p * (own.sum(-1, keepdim=True) if params.top_k else 1.0)
    if params.min_p:
        kept &= falling >= params.min_p * falling[:, :1]
    return kept


def draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """Inverse CDF: where the running sum of each row of weights passes the number of that row.

    weights: [I, V], of any total; uniform: [I] -> index [I].
    """
    heap = weights.cumsum(-1)
    total = heap[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))  # a product may round up to the total
    mark = torch.minimum(uniform[:, None] * total, below)
    return torch.searchsorted(heap, mark, right=True)[:, 0].clamp(max=weights.shape[-1] - 1)
