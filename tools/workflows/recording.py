"""The demo recording: sixteen seconds of synthesised music, so that every workflow that edits a song has one to edit.

It is made of the sounds that the tiny model of `training` knows, each beginning on one of its frames: of all
recordings, only such pass through that model's encoder. To any other model it is a recording like another.
"""

from pathlib import Path

import numpy as np
import soundfile

from training import layout
from training.composer import Song, score
from training.timbres import RATE, sounds

NAME = "acestep_graph_demo.flac"
SECONDS = 16.0
PEAK = 0.8
SONG = {"eighth": 6, "root": 9, "mode": "minor", "style": "pop", "lead": "guitar", "rhythm": 0}  # 125 bpm
SEED = 5  # of its melody


def write(folder: Path) -> Path:
    """Put the recording into `folder`, unless it is there."""
    path = folder / NAME
    if not path.is_file():
        soundfile.write(path, music().T, RATE, subtype="PCM_16")
    return path


def music() -> np.ndarray:
    """[2, samples]: melody, chords, bass and drums, the same on both sides."""
    song = Song.drawn(np.random.default_rng(SEED), **SONG)
    roll, bank = score(song, 0, round(SECONDS * layout.FRAMES_PER_SECOND)), sounds()
    hop = RATE // layout.FRAMES_PER_SECOND
    wave = np.zeros(len(roll) * hop + bank.shape[1])
    for frame, channel in zip(*np.nonzero(roll), strict=True):
        wave[frame * hop : frame * hop + bank.shape[1]] += bank[channel]
    wave = wave[: len(roll) * hop]
    return np.stack((wave, wave)) * (PEAK / np.abs(wave).max())
