"""Records a song of the tiny model, the one that the README lets people hear.

python -m training.sample [FILE] [--caption "pop guitar"] [--bpm 125] [--key "A minor"] [--seconds 15] [--seed 1]
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
import torch

from .playing import CHECKPOINT, Studio, instrumental
from .timbres import RATE

PEAK, FADE = 0.9, 0.5  # of the loudest sample; seconds at the end
PIECE = 1 << 16  # samples that are written at a time: the encoder of ogg files wants no more


def recorded(studio: Studio, given: argparse.Namespace) -> np.ndarray:
    """[samples, 2], faded out."""
    brief = instrumental(given.caption, given.bpm, given.key, given.seconds)
    sound = studio.sound(studio.compose([brief], given.seconds, [given.seed]))[0].T.numpy()
    fade = np.clip(np.arange(len(sound), 0, -1) / (FADE * RATE), 0, 1)
    return sound * (PEAK / np.abs(sound).max()) * fade[:, None]


def main() -> None:
    """Record from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?", default=CHECKPOINT / "song.ogg")
    parser.add_argument("--caption", default="pop guitar")
    parser.add_argument("--bpm", type=int, default=125)
    parser.add_argument("--key", default="A minor")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sound = recorded(Studio.opened(), given)
    with soundfile.SoundFile(given.file, "w", RATE, sound.shape[1], format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(sound), PIECE):
            file.write(sound[start : start + PIECE])
    print(f"{given.file}: {given.file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
