"""The moments of a run: times that fall from 1 (noise) to 0 (music)."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from ..errors import InvalidInputError


def shifted(steps: int, shift: float, dtype: torch.dtype = torch.float64) -> list[float]:
    """`steps + 1` times from 1 to 0; a shift above 1 spends more of them near the noise.

    In bf16 every operation rounds, as the official code does for a bf16 model: at 50 steps some neighbours are equal.
    """
    if steps < 1:
        raise InvalidInputError(f"{steps} steps make no song.", "Set at least one step.")
    if shift <= 0:
        raise InvalidInputError(
            f"The shift is {shift:g}.", "Set a shift above 0 (1 changes nothing, 3 is usual)."
        )
    t = torch.linspace(1.0, 0.0, steps + 1, dtype=dtype)
    times = (shift * t / (1 + (shift - 1) * t)).tolist()
    return [1.0, *times[1:]]  # some shifts miss the 1 by a rounding


def custom(times: Sequence[float]) -> list[float]:
    """The caller's own times, checked; the final 0 may be left out."""
    times = [float(t) for t in times]
    if times and times[-1] != 0.0:
        times.append(0.0)
    falls = len(times) > 1 and all(a > b for a, b in pairwise(times))
    if not falls or times[0] > 1.0 or times[-1] < 0.0:
        shown = ", ".join(f"{t:g}" for t in times[:8]) or "none"
        raise InvalidInputError(
            f"The times ({shown}{', ...' if len(times) > 8 else ''}) do not fall from at most 1 down to 0.",
            "Give strictly falling values between 1 and 0, for example 1, 0.9, 0.75, 0.5, 0.3.",
        )
    return times


def from_nearest(times: Sequence[float], level: float) -> list[float]:
    """The rest of a schedule from the time nearest to `level` on; the final 0 is never the nearest."""
    first = min(range(len(times) - 1), key=lambda index: abs(times[index] - level))
    return list(times[first:])
