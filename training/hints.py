"""What audio codes keep of music: melody, chords and beat, without the sound that plays them.

A code stands for five frames, and no tempo here has two eighths in five frames, so one code holds one eighth: in
which frame it lies, which melody note, which chord or single note of a chord, and which of three drums.
"""

import numpy as np

from . import layout
from .composer import Roll

NEUTRAL_LEAD = layout.LEAD_START["bells"]  # where hints put the melody, whoever played it
HINTED_DRUMS = (layout.KICK, layout.SNARE, layout.HAT)
THRESHOLD = layout.STRIKE / 2


def neutral(roll: Roll) -> Roll:
    """The score [frames, 64] with the melody in one place, and without bass and crash."""
    hint = np.zeros_like(roll)
    leads = [roll[:, start : start + layout.PITCHES] for start in layout.LEAD_START.values()]
    hint[:, NEUTRAL_LEAD : NEUTRAL_LEAD + layout.PITCHES] = np.maximum.reduce(leads)
    chords = slice(layout.CHORD_START, layout.CHORD_START + layout.PITCHES)
    hint[:, chords] = roll[:, chords]
    hint[:, HINTED_DRUMS] = roll[:, HINTED_DRUMS]
    return hint
