"""How the next token is chosen from logits: guidance, filters, and one uniform number per token and item."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..seeds import generator_of

LIKELY = 512  # candidates that hold the nucleus of most distributions
BROKEN = -1  # in place of a candidate
AHEAD = 256  # numbers per item that go to the device at a time, so that it is not waited for at each token


@dataclass(frozen=True, slots=True)
class Choice:
    """How freely tokens are chosen; the defaults are the published ones."""

    temperature: float = 0.85  # 0: always the likeliest
    cfg: float = 2.0  # 1: the negative prompt is not read
    top_p: float = 0.9  # 1: off
    top_k: int = 0  # 0: off
    min_p: float = 0.0  # of the likeliest candidate's probability; 0: off
    penalty: float = 1.0  # on what the item has written already; 1: off

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
            drawn_ahead = [torch.rand(AHEAD, generator=own) for own in self._generators]
            self._ahead = iter(torch.stack(drawn_ahead, 1).to(like.device))
            rolled = next(self._ahead)
        return rolled


def sound(places: Tensor, logits: Tensor) -> Tensor:
    """The chosen places, or BROKEN where the logits of the item are not finite."""
    return torch.where(logits.sum(-1).isfinite(), places, BROKEN)


def refuse_broken(places: Iterable[int]) -> None:
    """Refuse to go on from what is no number."""
    if BROKEN in places:
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


def penalised(logits: Tensor, written: Tensor, penalty: float) -> Tensor:
    """Push down what an item has written already. logits: [I, V]; written: bool [I, V]."""
    pushed = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(written, pushed, logits)


def choose(logits: Tensor, choice: Choice, uniform: Tensor) -> Tensor:
    """The place of one candidate for each of the items. logits: fp32 [I, V]; uniform: [I]."""
    if choice.temperature == 0:
        return logits.argmax(-1)
    highest = logits.amax(-1, keepdim=True)  # so that no temperature is too low to divide by
    chances = ((logits - highest) / choice.temperature).softmax(-1)
    if choice.top_k == 0 and choice.top_p == 1 and choice.min_p == 0:
        return drawn(chances, uniform)
    least = smallest_kept(chances, choice)
    return drawn(chances.where(chances >= least, 0), uniform)


def smallest_kept(chances: Tensor, choice: Choice) -> Tensor:
    """The smallest chance that passes the filters, per item [I, 1]; equal chances stay or go together."""
    few = max(LIKELY, choice.top_k + 1)
    if chances.device.type == "cpu" and few < chances.shape[-1]:
        falling = chances.topk(few).values
        kept = passing(falling, choice)
        if not kept[:, -1].any():  # asked on the CPU alone, where the answer is not waited for
            return falling.where(kept, torch.inf).amin(-1, keepdim=True)
    falling = chances.sort(descending=True).values
    return falling.where(passing(falling, choice), torch.inf).amin(-1, keepdim=True)


def passing(falling: Tensor, choice: Choice) -> Tensor:
    """Which of the largest chances [I, n] pass top-k, then top-p, then min-p; the first one always does."""
    kept = torch.ones_like(falling, dtype=torch.bool)
    if choice.top_k:
        kept &= falling >= falling[:, min(choice.top_k, falling.shape[-1]) - 1, None]
    if choice.top_p < 1:
        own = falling * kept
        before = own.cumsum(-1) - own
        kept &= before <= choice.top_p * (own.sum(-1, keepdim=True) if choice.top_k else 1.0)
    if choice.min_p:
        kept &= falling >= choice.min_p * falling[:, :1]
    return kept


def drawn(weights: Tensor, uniform: Tensor) -> Tensor:
    """The place at which the summed weights [I, V], of any total, pass a uniform number [I]: [I]."""
    heap = weights.cumsum(-1)
    total = heap[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))  # a product may round up to the total
    mark = torch.minimum(uniform[:, None] * total, below)
    return torch.searchsorted(heap, mark, right=True)[:, 0].clamp(max=weights.shape[-1] - 1)
