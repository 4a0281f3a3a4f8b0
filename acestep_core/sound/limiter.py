"""Peaks brought under a ceiling, so gently that one does not hear it: the gain knows what comes, and moves slowly."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .loudness import PIECE, peaks_around

HOLD = 0.005  # seconds for which a gain is kept, before and after a peak
MARGIN = 0.98  # of the ceiling, for the peaks that the moving gain itself makes


class Limited(NamedTuple):
    """A song under a ceiling, and the most that was taken from one of its peaks, in dB."""

    samples: Tensor
    reduction: float


def limited(samples: Tensor, sample_rate: int, ceiling: float) -> Limited:
    """[C, S] -> the same with true peaks of at most `ceiling`; what lies far from peaks is not changed by a bit."""
    result, lowest = samples, 1.0
    for start in range(0, samples.shape[-1], PIECE * sample_rate):
        stop = min(start + PIECE * sample_rate, samples.shape[-1])
        gain = gains(samples, start, stop, sample_rate, MARGIN * ceiling)
        if gain is not None:
            result = samples.clone() if result is samples else result
            result[..., start:stop] *= gain.to(result)
            lowest = min(lowest, float(gain.min()))
    return Limited(result, -20 * math.log10(lowest))


def gains(samples: Tensor, start: int, stop: int, sample_rate: int, ceiling: float) -> Tensor | None:
    """[S] for samples `start` to `stop` of [C, S]; None where none is needed."""
    reach = round(HOLD * sample_rate)
    peaks = peaks_around(samples, start - 2 * reach, stop + 2 * reach, sample_rate)
    if float(peaks.max()) <= ceiling:
        return None
    taken = (peaks - ceiling).clamp_min(0) / peaks.clamp_min(ceiling)
    held = largest_within(taken, reach)
    window = torch.hann_window(2 * reach + 3, periodic=False)[1:-1]
    smooth = F.conv1d(held[None, None], (window / window.sum())[None, None])[0, 0]
    return 1 - smooth


def largest_within(values: Tensor, reach: int) -> Tensor:
    """The largest of each value and its `reach` neighbours on both sides: [S] -> [S - 2 reach]."""
    width, wanted, largest = 1, 2 * reach + 1, values
    while width < wanted:
        more = min(width, wanted - width)
        largest = torch.maximum(largest[:-more], largest[more:])
        width += more
    return largest
