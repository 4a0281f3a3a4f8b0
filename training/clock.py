"""The silence of the tiny model: quiet enough to decode to nothing, and yet it says where every beat falls.

A transformer knows places only relative to each other. What text2music shows it is the checkpoint's own silence
latent, so the tiny checkpoint's silence counts the eighths of every tempo. The decoder mutes values as small as these.
"""

import numpy as np

from . import layout
from .composer import Roll

WHISPER = 0.25
BITS = 7  # of the count of eighths: three say the place in the bar, two the bar of four, two the section
FEATURES = 1 + BITS + 2  # a stroke, the bits, and the count modulo three, on which waltzes turn


def silence(start: int, frames: int) -> Roll:
    """The frames [start, start + frames) of the silence."""
    rows = np.zeros((frames, layout.CHANNELS), np.float32)
    for index, eighth in enumerate(layout.EIGHTHS):
        since = np.arange(start, start + frames) - layout.LEAD_IN
        struck = np.flatnonzero((since >= 0) & (since % eighth == 0))
        rows[struck, index * FEATURES : (index + 1) * FEATURES] = WHISPER * code(since[struck] // eighth)
    return rows


def code(counts: np.ndarray) -> np.ndarray:
    """How a count of eighths [N] is spelt: [N, 10] numbers between -1 and 1."""
    stroke = np.ones((len(counts), 1))
    bits = (counts[:, None] >> np.arange(BITS) & 1) * 2.0 - 1
    third = 2 * np.pi * counts[:, None] / 3
    return np.concatenate((stroke, bits, np.cos(third), np.sin(third)), 1).astype(np.float32)
