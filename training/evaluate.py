"""Measures what an exported checkpoint plays, with ears that know nothing of its networks.

python -m training.evaluate [CHECKPOINT] [--songs 20] [--steps 24] [--guidance 1]
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import hearing, layout
from .composer import Song, score
from .core import Brief
from .playing import CHECKPOINT, Settings, Studio, instrumental

SECONDS = 12.0
TOLERANCE = 0.03  # of a tempo


@dataclass(frozen=True, slots=True)
class Heard:
    """What the ears say of one sound that was asked for as `song`."""

    tempo_right: bool
    steadier: bool  # at the asked tempo than at any other that is no multiple of it
    key_rank: int  # 0: the asked key is the likeliest
    lead: str

    @classmethod
    def of(cls, sound: Tensor, song: Song) -> "Heard":
        """Listen to [2, S]."""
        mono = mono_of(sound)
        return cls(
            abs(hearing.tempo_near(mono, song.bpm) / song.bpm - 1) < TOLERANCE,
            steadier(mono, song.eighth),
            hearing.keys_by_likelihood(mono).index((song.root, song.mode)),
            lead_of(mono),
        )


def mono_of(sound: Tensor) -> hearing.Array:
    """[2, S] as the ears take it."""
    return sound.mean(0).double().numpy()


def steadier(mono: hearing.Array, eighth: int) -> bool:
    """Whether the beat of so many frames per eighth is heard rather than another tempo's."""
    others = [other for other in layout.EIGHTHS if other not in (eighth, 2 * eighth, eighth / 2)]
    control = max(hearing.steadiness(mono, bpm_of(other)) for other in others)
    return hearing.steadiness(mono, bpm_of(eighth)) > control


def bpm_of(eighth: int) -> float:
    """Quarter notes per minute of so many frames per eighth."""
    return 60 * layout.FRAMES_PER_SECOND / (2 * eighth)


def lead_of(mono: hearing.Array) -> str:
    """Which melody instrument explains most of the sound."""
    weights = hearing.parts(mono)
    return max(layout.LEADS, key=lambda lead: weights[layout.LEAD_START[lead] :][: layout.PITCHES].sum())


def share_of(mono: hearing.Array, channels: slice) -> float:
    """How much of the sound some channels explain, between 0 and 1."""
    weights = hearing.parts(mono)
    return float(weights[channels].sum() / (weights.sum() + 1e-12))


def brief_of(song: Song, seconds: float = SECONDS, caption: str | None = None) -> Brief:
    """What one would write to get such a song."""
    words = caption or f"{song.style} {song.lead}"
    return instrumental(words, round(song.bpm), song.key, seconds, song.time_signature)


def asked(count: int, seed: int) -> list[Song]:
    """Songs to ask for: every tempo, mode and lead in turn, all else by chance."""
    rng = np.random.default_rng(seed)
    turns = [
        {"eighth": layout.EIGHTHS[i % 6], "mode": ("major", "minor")[i // 3 % 2], "lead": layout.LEADS[i % 3]}
        for i in range(count)
    ]
    return [Song.drawn(rng, **turn) for turn in turns]


def text_to_music(studio: Studio, songs: list[Song], seed: int = 100) -> list[Heard]:
    """Compose one song each and listen."""
    seeds = [seed + place for place in range(len(songs))]
    latents = studio.compose([brief_of(song) for song in songs], SECONDS, seeds)
    return [Heard.of(sound, song) for sound, song in zip(studio.sound(latents), songs, strict=True)]


def covers(studio: Studio, songs: list[Song], seed: int = 300) -> tuple[list[float], list[float], list[bool]]:
    """Likeness of covers to their songs, of songs to strangers, and whether the new lead is heard."""
    sources = torch.stack([written(song) for song in songs])
    originals = studio.sound(sources)
    near, far, led = [], [], []
    for index, song in enumerate(songs):
        lead = next(lead for lead in layout.LEADS if lead != song.lead)
        other = replace(song, lead=lead)
        cover = studio.cover(studio.heard(originals[index : index + 1]), brief_of(other), seed + index)
        mono = mono_of(studio.sound(cover)[0])
        near.append(hearing.chroma_likeness(mono, mono_of(originals[index])))
        far.append(hearing.chroma_likeness(mono, mono_of(originals[index - 1])))
        led.append(lead_of(mono) == lead)
    return near, far, led


def referred(studio: Studio, songs: list[Song], seed: int = 500) -> list[bool]:
    """Whether the lead of a reference sound is heard when the caption names none."""
    right = []
    for index, song in enumerate(songs):
        played = written(replace(Song.drawn(np.random.default_rng(index)), lead=song.lead))
        reference = studio.reference(studio.sound(played[None]))
        condition = studio.told(brief_of(song, caption=song.style), reference=reference)
        frames = round(SECONDS * layout.FRAMES_PER_SECOND)
        latents = studio.play([condition], studio.silence.frames(frames), [seed + index])
        right.append(lead_of(mono_of(studio.sound(latents)[0])) == song.lead)
    return right


def written(song: Song, seconds: float = SECONDS) -> Tensor:
    """A true song's latents [T, 64], with nothing in its last moments."""
    roll = score(song, 0, round(seconds * layout.FRAMES_PER_SECOND))
    roll[-8:] = 0
    return torch.from_numpy(roll)


def report(studio: Studio, count: int) -> str:
    """All measures as lines of text."""
    songs = asked(count, seed=17)
    heard = text_to_music(studio, songs)
    near, far, led = covers(studio, songs[: max(2, count // 2)])
    right = referred(studio, songs[: max(2, count // 2)])
    lines = {
        "tempo within 3 %": np.mean([one.tempo_right for one in heard]),
        "asked tempo steadier than all others": np.mean([one.steadier for one in heard]),
        "key first": np.mean([one.key_rank == 0 for one in heard]),
        "key in the top two": np.mean([one.key_rank < 2 for one in heard]),
        "asked lead heard": np.mean([one.lead == song.lead for one, song in zip(heard, songs, strict=True)]),
        "cover like its song, mean": np.mean(near),
        "cover like its song, worst": np.min(near),
        "cover like a stranger, mean": np.mean(far),
        "cover like a stranger, worst": np.max(far),
        "cover has the new lead": np.mean(led),
        "reference gives the lead": np.mean(right),
    }
    return "\n".join(f"{name:40} {value:.2f}" for name, value in lines.items())


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", default=CHECKPOINT)
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", type=float, default=1.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    studio = Studio.opened(given.checkpoint)
    print(report(replace(studio, settings=Settings(steps=given.steps, guidance=given.guidance)), given.songs))


if __name__ == "__main__":
    main()
