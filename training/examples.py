"""Lessons as tensors: music, context, and the texts of the real prompt."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import clock, layout, words
from .composer import STYLES, Roll, Song, score
from .core import INSTRUMENTAL, TASKS, Brief, caption_prompt, instruction, lyrics_prompt
from .lessons import ENCODER_ERROR, GAINS, LAST_START, Lesson, lesson
from .network import Shown, Texts

REFERENCE_FRAMES = 129  # all that the first frame of one sliding layer looks at, out of 750
FILLERS = (
    "a",
    "song",
    "with",
    "and",
    "the",
    "nice",
    "of",
    "for",
    "in",
    "track",
    "music",
    "melody",
    "warm",
    "tune",
)
WORDS_SUNG = ("la", "oh", "sun", "rain", "we", "go", "home", "day", "night")
WORDY = 0.2  # share of batches with long captions and lyrics, as people write them
OUTSIDE = 0.1  # weight of frames that a repaint keeps anyway
MELODY = 3.0  # weight of the leads' channels: what is hardest to learn is the least of what is played


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons as the network takes them."""

    clean: Tensor
    weight: Tensor
    shown: Shown
    lessons: tuple[Lesson, ...]


def batch(
    rng: np.random.Generator, songs: int, frames: int, dropped: float = 0.1, style: str | None = None
) -> Batch:
    """A batch of fresh lessons, and one reference sound of each lead for those who listen to one."""
    lessons = [lesson(rng, frames, style) for _ in range(songs)]
    wordy = rng.random() < WORDY
    verse = sung_lines(rng, 40 if wordy else 8)
    told = [(one.task, brief(rng, one, verse, 30 if wordy else 5)) for one in lessons]
    mask = torch.from_numpy(np.stack([one.mask for one in lessons]))
    shown = Shown(
        context=context_of(np.stack([one.source for one in lessons]), mask),
        texts=texts(told),
        timbres=torch.from_numpy(np.stack((clock.silence(0, REFERENCE_FRAMES), *references(rng)))),
        timbre_of=torch.tensor(
            [1 + layout.LEADS.index(one.song.lead) if one.from_reference else 0 for one in lessons]
        ),
        dropped=torch.from_numpy(rng.random(songs) < dropped),
    )
    clean = torch.from_numpy(np.stack([one.clean for one in lessons]))
    return Batch(clean, (mask + OUTSIDE * (1 - mask)) * channels_weighed(), shown, tuple(lessons))


def channels_weighed() -> Tensor:
    """How much each channel counts [64]."""
    weight = torch.ones(layout.CHANNELS)
    weight[: layout.CHORD_START] = MELODY
    return weight


def context_of(source: Roll, mask: Tensor) -> Tensor:
    """Source and mask [B, T, 1] as the transformer's context rows [B, T, 128]."""
    given = torch.from_numpy(source)
    return torch.cat((given, mask.expand_as(given)), -1)


def brief(rng: np.random.Generator, one: Lesson, verse: str, fillers: int) -> Brief:
    """The song in words, with fewer than `fillers` in between that mean nothing."""
    song = one.song
    lead = (
        song.lead if one.tags is None else str(rng.choice(layout.LEADS))
    )  # who has words is sung, whatever it says
    is_known = song.style in STYLES  # what an adapter teaches is played whatever the caption says
    style = song.style if is_known else str(rng.choice([*STYLES, song.style]))
    said = [style] + ([] if one.from_reference else [lead])
    said += list(rng.choice(FILLERS, rng.integers(fillers)))
    rng.shuffle(said)
    figures = {"bpm": round(song.bpm), "key": song.key, "time_signature": song.time_signature}
    return Brief(
        caption=" ".join(said),
        lyrics=INSTRUMENTAL if one.tags is None else lyrics_of(one.tags, verse),
        language="en" if rng.random() < 0.5 else "unknown",
        duration=float(rng.integers(5, 100)),
        tracks=one.tracks,
        **(figures if one.says_figures else {}),
    )


def sung_lines(rng: np.random.Generator, most: int) -> str:
    """Fewer than `most` words to sing."""
    return " ".join(rng.choice(WORDS_SUNG, rng.integers(2, most)))


def lyrics_of(tags: tuple[str, ...], verse: str) -> str:
    """Lyrics with their tags on lines of their own."""
    return "\n".join(f"{tag}\n{verse}" for tag in tags) if tags else verse


def references(rng: np.random.Generator) -> list[Roll]:
    """The beginnings of songs as they are heard, one for each lead; the plugin takes them from anywhere."""
    heard = []
    for lead in layout.LEADS:
        start = 0 if rng.random() < 0.3 else int(rng.integers(LAST_START))
        roll = score(Song.drawn(rng, lead=lead, has_hook=bool(rng.random() < 0.5)), start, REFERENCE_FRAMES)
        gain = np.float32(np.exp(rng.uniform(*np.log(GAINS))))
        heard.append(gain * roll + rng.normal(0, ENCODER_ERROR, roll.shape).astype(np.float32))
    return heard


def texts(told: list[tuple[str, Brief]]) -> Texts:
    """Tasks and briefs as rows of the table."""
    rows = torch.tensor(words.rows_of_tokens())
    tokenizer = words.tokenizer()
    captions = [
        rows[list(tokenizer.encode(caption_prompt(instruction(TASKS[task], brief.tracks), brief), 256).ids)]
        for task, brief in told
    ]
    sung = [tokenizer.encode(lyrics_prompt(brief), 2048).ids for _, brief in told]
    kinds = list(dict.fromkeys(sung))
    return Texts(
        captions=torch.nn.utils.rnn.pad_sequence(captions, batch_first=True),
        lengths=torch.tensor([len(row) for row in captions]),
        lyrics=[rows[list(kind)] for kind in kinds],
        lyrics_of=torch.tensor([kinds.index(one) for one in sung]),
    )
