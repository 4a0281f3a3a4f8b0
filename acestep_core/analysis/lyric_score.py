"""How well a song seems to follow its words: coverage, order and confidence of the lyric heads' attention.

Weak: attention that runs backwards may be called in order, and a flat map may score above a sharp one. It compares takes of
one song, and says nothing else.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .alignment import path_through

SEEN = 0.1  # of the strongest attention: a token that reaches it is covered
COUNTED = 0.01  # attention that a token's centre is made of
SLACK = 9  # places that a token's centre may lie before the one of the token before
LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class LyricScore:
    """Three shares from 0 to 1."""

    coverage: float  # tokens that anything attends to
    monotonicity: float  # neighbours in their order
    confidence: float  # attention along the best path

    @property
    def score(self) -> float:
        """All in one."""
        whole = self.coverage**2 * self.monotonicity**2 * self.confidence
        return round(min(max(whole, 0.0), 1.0), 4)


def lyric_score(heads: Tensor, words: Tensor) -> LyricScore:
    """heads: probabilities [K, N tokens, M places]; words: [N] bool, False for tokens of structure tags."""
    energy = scaled(heads.float().mean(0))
    covered = energy[words].amax(1) > SEEN
    path = torch.from_numpy(path_through(-energy.square().numpy().astype(np.float32)))
    return LyricScore(
        float(covered.float().mean()) if len(covered) else 1.0,
        in_order(energy, words),
        float(energy[path[0], path[1]].mean()),
    )


def scaled(mean: Tensor) -> Tensor:
    """From the least, 0, to the most, 1; nothing but 0 if all is the same."""
    low, high = mean.min(), mean.max()
    return torch.zeros_like(mean) if high - low <= LEAST else (mean - low) / (high - low)


def in_order(energy: Tensor, words: Tensor) -> float:
    """Share of neighbouring tokens whose centres do not run backwards."""
    kept = torch.where(energy > COUNTED, energy, 0.0)[words]
    weights = kept.sum(1)
    places = torch.arange(energy.shape[1], dtype=energy.dtype)
    centres = ((kept * places).sum(1)[weights > LEAST]) / weights[weights > LEAST]
    if len(centres) < 2:
        return 1.0
    return float((centres[1:] >= centres[:-1] - SLACK).float().mean())


def of_words(pieces: tuple[bytes, ...]) -> Tensor:
    """Which tokens count as words for the score: all but those of structure tags, blanks included."""
    inside, found = False, list[bool]()
    for piece in pieces:
        inside = inside or b"[" in piece
        found.append(not inside and b"]" not in piece)
        inside = inside and b"]" not in piece
    return torch.tensor(found, dtype=torch.bool)
