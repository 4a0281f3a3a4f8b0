"""The sound whose timbre a song shall take: thirty seconds out of any recording."""

import torch
from einops import repeat
from torch import Tensor

from ..errors import InvalidAudioError
from ..seeds import generator_of
from ..timebase import TIMBRE_FRAMES, samples_of
from .levels import SILENT_PEAK, peak_of, require_sound

PIECES = 3
PIECE_SAMPLES = samples_of(TIMBRE_FRAMES // PIECES)  # ten seconds


def timbre_excerpt(samples: Tensor, seed: int | None) -> Tensor:
    """[B, 2, S] at 48 kHz -> [B, 2, 30 s], ready for the VAE; B recordings are B references.

    Ten seconds each of the recording's first, middle and last third. A seed (0 is one like any other) draws where
    in its third each piece lies, item i from seed + i; None takes the very start, the middle third's start, the very end.
    """
    require_sound(samples, "The reference")
    peaks = peak_of(samples).flatten()
    silent = [item for item in range(len(peaks)) if peaks[item] < SILENT_PEAK]
    if silent:
        which = "The reference" if len(peaks) == 1 else f"Reference {silent[0] + 1} of {len(peaks)}"
        raise InvalidAudioError(
            f"{which} is silent.", "Choose a recording that can be heard, or unplug it for no reference."
        )
    return torch.stack(
        [excerpt_of(item, None if seed is None else seed + i) for i, item in enumerate(samples)]
    )


def excerpt_of(samples: Tensor, seed: int | None) -> Tensor:
    """[2, S] -> [2, 30 s]."""
    times = -(-PIECES * PIECE_SAMPLES // samples.shape[-1])
    long = repeat(samples, "c s -> c (n s)", n=times)
    starts = outermost_starts(long.shape[-1]) if seed is None else random_starts(long.shape[-1], seed)
    return torch.cat([long[:, start : start + PIECE_SAMPLES] for start in starts], -1)


def outermost_starts(total: int) -> tuple[int, int, int]:
    """The very start, the middle third's start, and so that the last piece ends with the recording."""
    return 0, total // PIECES, total - PIECE_SAMPLES


def random_starts(total: int, seed: int) -> tuple[int, int, int]:
    """Anywhere in each third where a whole piece fits."""
    third = total // PIECES
    generator = generator_of(seed)

    def offset(room: int) -> int:
        return int(torch.randint(room + 1, (), generator=generator))

    front, middle = offset(third - PIECE_SAMPLES), offset(third - PIECE_SAMPLES)
    return front, third + middle, 2 * third + offset(total - 2 * third - PIECE_SAMPLES)
