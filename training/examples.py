"""Lessons for the transformer: a song, what is shown of it, and the words that go with it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import clock, layout, words
from .composer import STYLES, Roll, Song, score
from .core import INSTRUMENTAL, TASKS, Brief, caption_prompt, instruction, lyrics_prompt
from .network import Shown, Texts

REFERENCE_FRAMES = 750
ENCODER_ERROR = 0.1  # of a latent that was heard from sound, per channel
FILLERS = ("a", "song", "with", "and", "the", "nice", "of", "for", "in", "track", "music", "melody")
OUTSIDE = 0.1  # weight of frames that a repaint keeps anyway


@dataclass(frozen=True, slots=True)
class Lesson:
    """One song of a batch."""

    clean: Roll
    source: Roll
    mask: Roll  # [frames, 1]
    task: str
    song: Song
    tracks: tuple[str, ...] = ()
    from_reference: bool = False  # the caption leaves the instrument to a reference sound


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each task comes, and from which choices songs are drawn."""

    frames: int = 256
    songs: int = 16
    tasks: tuple[tuple[str, float], ...] = (("text2music", 0.75), ("repaint", 0.25))
    eighths: tuple[int, ...] = layout.EIGHTHS
    styles: tuple[str, ...] = tuple(STYLES)
    dropped: float = 0.1
    referring: float = 0.15


def lesson(rng: np.random.Generator, plan: Plan) -> Lesson:
    """Draw a task and a song for it."""
    names, shares = zip(*plan.tasks, strict=True)
    task = str(rng.choice(names, p=np.array(shares) / sum(shares)))
    song = Song.drawn(rng, eighth=int(rng.choice(plan.eighths)), style=str(rng.choice(plan.styles)))
    start = 0 if rng.random() < 0.5 else 2 * int(rng.integers(500))
    clean, quiet = score(song, start, plan.frames), clock.silence(start, plan.frames)
    mask = np.ones((plan.frames, 1), np.float32)
    if task == "repaint":
        mask = hole(rng, plan.frames)
        heard = clean + rng.normal(0, ENCODER_ERROR, clean.shape).astype(np.float32)
        return Lesson(clean, np.where(mask > 0, quiet, heard), mask, task, song)
    return Lesson(clean, quiet, mask, task, song, from_reference=bool(rng.random() < plan.referring))


def hole(rng: np.random.Generator, frames: int) -> Roll:
    """A mask of what is to be made anew: a span, or all behind a moment as when a song is extended."""
    mask = np.zeros((frames, 1), np.float32)
    first = int(rng.integers(frames // 8, frames * 3 // 4))
    last = frames if rng.random() < 0.4 else min(frames, first + int(rng.integers(frames // 8, frames // 2)))
    mask[first:last] = 1
    return mask


def brief(rng: np.random.Generator, lesson: Lesson, frames: int) -> Brief:
    """The song in words, with some that mean nothing in between."""
    song = lesson.song
    said = [song.style] + ([] if lesson.from_reference else [song.lead])
    said += list(rng.choice(FILLERS, rng.integers(4)))
    rng.shuffle(said)
    return Brief(
        caption=" ".join(said),
        lyrics=INSTRUMENTAL,
        language="unknown",
        bpm=round(song.bpm),
        key=song.key,
        time_signature=song.time_signature,
        duration=float(rng.integers(5, 61)) if rng.random() < 0.5 else frames / layout.FRAMES_PER_SECOND,
        tracks=lesson.tracks,
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons as tensors."""

    clean: Tensor
    weight: Tensor
    shown: Shown
    songs: tuple[Song, ...]


def batch(rng: np.random.Generator, plan: Plan) -> Batch:
    """A batch of fresh lessons."""
    lessons = [lesson(rng, plan) for _ in range(plan.songs)]
    reference, lead = reference_sound(rng)
    timbres = np.stack((clock.silence(0, REFERENCE_FRAMES), reference))
    lessons = [fitted_to(one, lead, plan.frames) if one.from_reference else one for one in lessons]
    mask = torch.from_numpy(np.stack([one.mask for one in lessons]))
    source = torch.from_numpy(np.stack([one.source for one in lessons]))
    shown = Shown(
        context=torch.cat((source, mask.expand_as(source)), -1),
        texts=texts([(one.task, brief(rng, one, plan.frames)) for one in lessons]),
        timbres=torch.from_numpy(timbres),
        timbre_of=torch.tensor([int(one.from_reference) for one in lessons]),
        dropped=torch.from_numpy(rng.random(len(lessons)) < plan.dropped),
    )
    clean = torch.from_numpy(np.stack([one.clean for one in lessons]))
    return Batch(clean, mask + OUTSIDE * (1 - mask), shown, tuple(one.song for one in lessons))


def reference_sound(rng: np.random.Generator) -> tuple[Roll, str]:
    """Thirty seconds of any song as they are heard, and the lead that plays in it."""
    song = Song.drawn(rng)
    heard = score(song, 2 * int(rng.integers(500)), REFERENCE_FRAMES)
    return heard + rng.normal(0, ENCODER_ERROR, heard.shape).astype(np.float32), song.lead


def fitted_to(one: Lesson, lead: str, frames: int) -> Lesson:
    """The same lesson, played by the lead of the reference."""
    from dataclasses import replace

    moved = one.clean.copy()
    old, new = layout.LEAD_START[one.song.lead], layout.LEAD_START[lead]
    played = one.clean[:, old : old + layout.PITCHES]
    moved[:, old : old + layout.PITCHES] = 0
    moved[:, new : new + layout.PITCHES] = played
    return replace(one, clean=moved, song=replace(one.song, lead=lead))


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
