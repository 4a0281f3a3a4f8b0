"""What the transformer is taught: for every task a song, what is shown of it, and what is to come out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import clock, hints, layout
from .composer import Roll, Song, score, sung_form

ENCODER_ERROR = 0.1  # of a latent that was heard from sound, per channel
GAINS = (0.75, 1.9)  # songs are saved louder or softer than they were played
TRACKS = {  # the plugin's names of tracks -> their channels
    "drums": slice(layout.KICK, layout.CRASH + 1),
    "bass": slice(layout.BASS_START, layout.BASS_START + layout.PITCHES),
    "keyboard": slice(layout.CHORD_START, layout.CHORD_START + layout.PITCHES),
    "percussion": slice(layout.LEAD_START["bells"], layout.LEAD_START["bells"] + layout.PITCHES),
    "guitar": slice(layout.LEAD_START["guitar"], layout.LEAD_START["guitar"] + layout.PITCHES),
    "vocals": slice(layout.LEAD_START["voice"], layout.LEAD_START["voice"] + layout.PITCHES),
}
TRACK_OF_LEAD = {"bells": "percussion", "guitar": "guitar", "voice": "vocals"}
TASK_SHARES = (
    ("text2music", 0.5),
    ("repaint", 0.2),
    ("cover", 0.1),
    ("extract", 0.05),
    ("lego", 0.08),
    ("complete", 0.07),
)
TAGS = ("[Verse]", "[Chorus]", "[Bridge]")
SUNG = 0.45  # share of songs with words
IN_THE_MIDDLE, TOLD_APART = 0.7, (24, 96)  # how often such a lesson begins in these eighths, where tags tell
BY_REFERENCE = 0.3  # of the instrumentals whose lead is free
HOOKS_SHOWN = 0.5  # of the songs of the other tasks, where the melody is to follow what is shown
LAST_START = 1000  # frames into a song at which a lesson begins at the latest


@dataclass(frozen=True, slots=True)
class Lesson:
    """One song of a batch."""

    task: str
    song: Song
    clean: Roll  # [frames, 64] what is to come out
    source: Roll
    mask: Roll  # [frames, 1]: 1 = generate
    tags: tuple[str, ...] | None = None  # of the lyrics; None: an instrumental
    tracks: tuple[str, ...] = ()
    from_reference: bool = False  # a reference sound gives the instrument, and the caption does not name one
    says_figures: bool = True  # the brief names tempo, key and meter


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a song, written and as the silence counts it."""

    song: Song
    tags: tuple[str, ...] | None
    roll: Roll
    quiet: Roll

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, frames: int, hooks: float = 1.0, style: str | None = None
    ) -> "Stretch":
        """Any song, often from its beginning; hooks: the share of songs that have one; style: None is any."""
        tags, start = None, 0 if rng.random() < 0.5 else 2 * int(rng.integers(LAST_START // 2))
        song = Song.drawn(rng, has_hook=bool(rng.random() < hooks), style=style)
        if rng.random() < SUNG:
            tags = tuple(tag for tag in TAGS if rng.random() < 0.6)
            song = replace(song, lead="voice", form=sung_form("[Chorus]" in tags, "[Bridge]" in tags))
            if rng.random() < IN_THE_MIDDLE:
                start = 2 * int(rng.integers(TOLD_APART[0] * song.eighth, TOLD_APART[1] * song.eighth) // 2)
        return cls(song, tags, score(song, start, frames), clock.silence(start, frames))

    def heard(self, rng: np.random.Generator, roll: Roll | None = None) -> Roll:
        """Latents as the encoder hears them."""
        roll = self.roll if roll is None else roll
        gain = 1.0 if rng.random() < 0.5 else np.float32(np.exp(rng.uniform(*np.log(GAINS))))
        return gain * roll + rng.normal(0, ENCODER_ERROR, roll.shape).astype(np.float32)

    def lesson(self, task: str, source: Roll, clean: Roll | None = None, **more: object) -> Lesson:
        """A lesson about the whole stretch."""
        whole = np.ones((len(self.roll), 1), np.float32)
        given = {"mask": whole, "tags": self.tags, **more}
        return Lesson(task, self.song, self.roll if clean is None else clean, source, **given)  # type: ignore[arg-type]


def text2music(rng: np.random.Generator, stretch: Stretch) -> Lesson:
    """From silence; sometimes the instrument is told by a reference sound."""
    return stretch.lesson("text2music", stretch.quiet, from_reference=listens(rng, stretch))


def listens(rng: np.random.Generator, stretch: Stretch) -> bool:
    """Whether a reference sound tells the instrument."""
    return stretch.tags is None and bool(rng.random() < BY_REFERENCE)


def repaint(rng: np.random.Generator, stretch: Stretch) -> Lesson:
    """A part is made anew; now and then the silence counts from elsewhere, as before a song that is led up to."""
    mask = hole(rng, len(stretch.roll))
    quiet = clock.silence(2 * int(rng.integers(200)), len(mask)) if rng.random() < 0.15 else stretch.quiet
    return stretch.lesson("repaint", np.where(mask > 0, quiet, stretch.heard(rng)), mask=mask)


def cover(rng: np.random.Generator, stretch: Stretch) -> Lesson:
    """From hints; what the brief says of tempo and key may be missing."""
    source = stretch.heard(rng, hints.neutral(stretch.roll))
    figures = bool(rng.random() < 0.5)
    return stretch.lesson("cover", source, says_figures=figures, from_reference=listens(rng, stretch))


def extract(rng: np.random.Generator, stretch: Stretch) -> Lesson:
    """One track out of the mix."""
    track = some_track(rng, stretch.song)
    return stretch.lesson("extract", stretch.heard(rng), only(stretch.roll, track), tracks=(track,))


def lego(rng: np.random.Generator, stretch: Stretch) -> Lesson:
    """One track to the rest of the mix, alone."""
    track = some_track(rng, stretch.song)
    missing = only(stretch.roll, track)
    return stretch.lesson("lego", stretch.heard(rng, stretch.roll - missing), missing, tracks=(track,))


def complete(rng: np.random.Generator, stretch: Stretch) -> Lesson:
    """Tracks to a few given ones, together with them."""
    present = np.array(["drums", "bass", "keyboard", TRACK_OF_LEAD[stretch.song.lead]])
    rng.shuffle(present)
    given, added = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    named = tuple(map(str, present[given : given + added])) or (str(present[3]),)
    source = only(stretch.roll, *(track for track in present[:given] if track not in named))
    clean = np.maximum(source, only(stretch.roll, *named))
    return stretch.lesson("complete", stretch.heard(rng, source), clean, tracks=named)


WRITERS: dict[str, Callable[[np.random.Generator, Stretch], Lesson]] = {
    "text2music": text2music,
    "repaint": repaint,
    "cover": cover,
    "extract": extract,
    "lego": lego,
    "complete": complete,
}


def lesson(rng: np.random.Generator, frames: int, style: str | None = None) -> Lesson:
    """Any task with any song, or with one of a style."""
    names, shares = zip(*TASK_SHARES, strict=True)
    task = str(rng.choice(names, p=shares))
    hooks = 1.0 if task == "text2music" else HOOKS_SHOWN
    return WRITERS[task](rng, Stretch.drawn(rng, frames, hooks, style))


def hole(rng: np.random.Generator, frames: int) -> Roll:
    """A mask of what is to be made anew: a span, all behind a moment, or all before one."""
    mask = np.zeros((frames, 1), np.float32)
    first = int(rng.integers(frames // 8, frames * 3 // 4))
    kind = rng.random()
    if kind < 0.35:
        mask[first:] = 1
    elif kind < 0.45:
        mask[: frames - first] = 1
    else:
        mask[first : first + int(rng.integers(frames // 8, frames // 2))] = 1
    return mask


def some_track(rng: np.random.Generator, song: Song) -> str:
    """A track that the song has, or now and then one of a lead that it has not."""
    lead = song.lead if rng.random() < 0.9 else str(rng.choice(layout.LEADS))
    return str(rng.choice(["drums", "bass", "keyboard", TRACK_OF_LEAD[lead]]))


def only(roll: Roll, *tracks: str) -> Roll:
    """The score of some tracks alone."""
    kept = np.zeros_like(roll)
    for track in tracks:
        kept[:, TRACKS[track]] = roll[:, TRACKS[track]]
    return kept
