"""From attention to times: what of it is sharp enough, and the path of the words through it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

VIOLENCE = 2.0  # medians that are taken away from each row and column
DIAGONAL, DOWN, RIGHT = 0, 1, 2  # where a cell of the path comes from


@dataclass(frozen=True, slots=True)
class Sharpened:
    """What is left of attention heads [K, N, M]."""

    mean: Tensor  # [N, M], over all heads, in standard deviations
    survives: Tensor  # [N] bool: any head points from this token at some place

    @property
    def found(self) -> bool:
        """Whether any token is found at all; otherwise every time would be 0."""
        return bool(self.survives.any())


def sharpened(heads: Tensor) -> Sharpened:
    """Keep what stands out of a token's row and of a place's column. heads: probabilities [K, N tokens, M places], fp32.

    Head by head, for those of a long song fill gigabytes.
    """
    total, survives = torch.zeros(heads.shape[1:]), torch.zeros(heads.shape[1], dtype=torch.bool)
    sums = torch.zeros(2, dtype=torch.float64)
    for head in heads:
        weights = head.softmax(-1) * head.softmax(-2)
        weights = (weights - VIOLENCE * median(weights, -1)).relu()
        weights = (weights - VIOLENCE * median(weights, -2)).relu()
        survives |= (weights > 0).any(-1)
        weights = weights.square()
        total += weights
        sums += torch.stack((weights.sum(dtype=torch.float64), weights.double().square().sum()))
    mean, square = (sums / heads.numel()).tolist()
    deviation = max(square - mean**2, 0.0) ** 0.5
    return Sharpened((total / len(heads) - mean) / (deviation + 1e-9), survives)


def median(x: Tensor, dim: int) -> Tensor:
    """The mean of the two middle values along a dimension, which stays."""
    size, ordered = x.shape[dim], x.sort(dim).values
    low, high = (ordered.narrow(dim, place, 1) for place in ((size - 1) // 2, size // 2))
    return torch.lerp(low, high, 0.5)


def path_through(cost: np.ndarray) -> np.ndarray:
    """Dynamic time warping: the cheapest way from the first cell to the last of [N, M] -> [2, P] rows and columns.

    Cells are visited along anti-diagonals, all of one at once. Where ways are equally cheap, the one from the left is
    taken, as the official code takes it.
    """
    rows, columns = cost.shape
    came = np.empty((rows + 1, columns + 1), np.uint8)
    came[0], came[:, 0] = RIGHT, DOWN
    before, last = (np.full(rows + 1, np.inf, np.float32) for _ in range(2))
    before[0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        across, down, right = before[i - 1], last[i - 1], last[i]
        choice = np.where(
            (across < down) & (across < right),
            DIAGONAL,
            np.where((down < across) & (down < right), DOWN, RIGHT),
        )
        came[i, j] = choice
        now = np.full(rows + 1, np.inf, np.float32)
        now[i] = cost[i - 1, j - 1] + np.choose(choice, (across, down, right))
        before, last = last, now
    return way_back(came)


def way_back(came: np.ndarray) -> np.ndarray:
    """The path from the last cell to the first, turned round."""
    i, j = (size - 1 for size in came.shape)
    path = []
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        step = came[i, j]
        i -= step != RIGHT
        j -= step != DOWN
    return np.array(path[::-1]).T


def token_times(path: np.ndarray, tokens: int, row_seconds: float) -> list[tuple[float, float]]:
    """When each token begins and ends: its first and last place on the path."""
    return [
        (float(places[0] * row_seconds), float(places[-1] * row_seconds))
        for places in (path[1][path[0] == token] for token in range(tokens))
    ]
