"""Songs as scores: what is struck in which frame, written down from a handful of choices."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import layout

Roll = NDArray[np.float32]  # [frames, 64]

NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MODES = ("major", "minor")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
LEADING_TONE = 11  # minor songs borrow it in the bar of the dominant
CHORDS = {  # semitones above the tonic, bass note first
    "I": (0, 4, 7),
    "IV": (5, 9, 0),
    "V": (7, 11, 2),
    "vi": (9, 0, 4),
    "i": (0, 3, 7),
    "iv": (5, 8, 0),
    "VI": (8, 0, 3),
}
PROGRESSIONS = {  # mode -> the four bars of the usual section, and of the one in between
    "major": (("I", "vi", "IV", "V"), ("vi", "IV", "I", "V")),
    "minor": (("i", "VI", "iv", "V"), ("VI", "iv", "i", "V")),
}
BARS_PER_SECTION = 4


@dataclass(frozen=True, slots=True)
class Style:
    """Which eighths of a bar are struck by whom, and when the melody may move."""

    eighths: int  # per bar
    chords: tuple[int, ...]
    broken: bool  # chords one note after the other
    bass: tuple[int, ...]
    drums: dict[int, tuple[int, ...]] = field(hash=False)
    rhythms: tuple[tuple[int, ...], ...] = ()  # of the melody, in eighths of two bars
    form: tuple[int, ...] = (0, 0, 1, 0)  # which of the two sections each four bars bring


STYLES = {
    "calm": Style(
        8, (0, 1, 2, 3, 4, 5, 6, 7), True, (0, 4), {}, ((0, 4, 6, 8, 12), (0, 2, 4, 8, 10, 12), (0, 3, 4, 8, 12, 14))
    ),
    "pop": Style(
        8,
        (0, 2, 4, 6),
        False,
        (0, 3, 4, 7),
        {layout.KICK: (0, 4), layout.SNARE: (2, 6), layout.HAT: (0, 1, 2, 3, 4, 5, 6, 7)},
        ((0, 2, 3, 4, 6, 8, 10, 11, 12), (0, 3, 4, 6, 7, 8, 11, 12), (0, 1, 2, 4, 6, 8, 9, 10, 12, 14)),
    ),
    "dance": Style(
        8,
        (1, 3, 5, 7),
        False,
        (1, 3, 5, 7),
        {layout.KICK: (0, 2, 4, 6), layout.SNARE: (2, 6), layout.HAT: (1, 3, 5, 7)},
        ((0, 1, 3, 4, 6, 8, 9, 11, 12, 14), (0, 2, 4, 5, 7, 8, 10, 12, 13, 15), (0, 3, 6, 8, 11, 14)),
    ),
    "latin": Style(
        8,
        (0, 3, 6),
        False,
        (0, 3, 6, 7),
        {layout.KICK: (0, 4), layout.SNARE: (3, 6), layout.HAT: (0, 2, 4, 6)},
        ((0, 1, 3, 4, 6, 8, 9, 11, 12), (0, 3, 5, 6, 8, 11, 13, 14), (0, 2, 3, 6, 8, 10, 11, 14)),
    ),
    "waltz": Style(
        6,
        (2, 4),
        False,
        (0,),
        {layout.KICK: (0,), layout.HAT: (2, 4)},
        ((0, 2, 4, 6, 10), (0, 4, 5, 6, 8, 10), (0, 2, 3, 4, 6)),
        (0,),
    ),
}


@dataclass(frozen=True, slots=True)
class Song:
    """All choices that make one song; the same ones give the same score."""

    eighth: int  # frames per eighth note
    root: int  # pitch class of the tonic
    mode: str
    style: str
    lead: str
    rhythm: int  # which of the style's rhythms
    contours: tuple[tuple[int, ...], tuple[int, ...]]  # places in the scale, one per eighth of two bars, per section

    @classmethod
    def drawn(cls, rng: np.random.Generator, **fixed: object) -> "Song":
        """A song with everything drawn that is not fixed."""
        style = str(fixed.get("style") or rng.choice(list(STYLES)))
        choices: dict[str, object] = {
            "eighth": int(rng.choice(layout.EIGHTHS)),
            "root": int(rng.integers(layout.PITCHES)),
            "mode": MODES[rng.integers(2)],
            "lead": layout.LEADS[rng.integers(len(layout.LEADS))],
            "rhythm": int(rng.integers(len(STYLES[style].rhythms))),
            "contours": (wandering(rng), wandering(rng)),
        }
        return cls(**{**choices, **fixed, "style": style})  # type: ignore[arg-type]

    @property
    def bpm(self) -> float:
        """Quarter notes per minute."""
        return 60 * layout.FRAMES_PER_SECOND / (2 * self.eighth)

    @property
    def key(self) -> str:
        """As a brief spells it."""
        return f"{NOTE_NAMES[self.root]} {self.mode}"

    @property
    def time_signature(self) -> str:
        """Beats per bar, as a brief spells it."""
        return str(STYLES[self.style].eighths // 2)


def wandering(rng: np.random.Generator) -> tuple[int, ...]:
    """Sixteen places in a scale of seven, few steps apart."""
    place, path = int(rng.integers(1, 6)), []
    for _ in range(16):
        path.append(place)
        place += int(rng.integers(-2, 3))
        place = -place if place < 0 else 12 - place if place > 6 else place
    return tuple(path)


def score(song: Song, start: int, frames: int) -> Roll:
    """The frames [start, start + frames) of an endless song."""
    roll = np.zeros((frames, layout.CHANNELS), np.float32)
    first = max(0, -(-(start - layout.LEAD_IN) // song.eighth))
    last = (start + frames - 1 - layout.LEAD_IN) // song.eighth
    for eighth in range(first, last + 1):
        struck = strokes(song, eighth)
        roll[layout.LEAD_IN + eighth * song.eighth - start, struck] = layout.STRIKE
    return roll


def strokes(song: Song, eighth: int) -> list[int]:
    """The channels struck in one eighth of the song."""
    style = STYLES[song.style]
    bar, place = divmod(eighth, style.eighths)
    section = style.form[bar // BARS_PER_SECTION % len(style.form)]
    chord = CHORDS[PROGRESSIONS[song.mode][section][bar % BARS_PER_SECTION]]
    notes = [(song.root + interval) % layout.PITCHES for interval in chord]
    struck = [drum for drum, places in style.drums.items() if place in places]
    if style.drums and place == 0 and bar % BARS_PER_SECTION == 0:
        struck.append(layout.CRASH)
    if place in style.bass:
        struck.append(layout.BASS_START + notes[0])
    if place in style.chords:
        played = [sorted(notes)[(0, 1, 2, 1)[place % 4]]] if style.broken else notes
        struck += [layout.CHORD_START + note for note in played]
    moment = bar % 2 * style.eighths + place
    if moment in style.rhythms[song.rhythm]:
        note = melody_note(song, chord, song.contours[section][moment], strong=place % 4 == 0)
        struck.append(layout.LEAD_START[song.lead] + note)
    return struck


def melody_note(song: Song, chord: tuple[int, ...], place: int, strong: bool) -> int:
    """The pitch class at a place of the scale, taken as going up from C; strong beats move to a note of the chord."""
    scale = set(SCALES[song.mode])
    if LEADING_TONE in chord and song.mode == "minor":
        scale = scale - {10} | {LEADING_TONE}
    ladder = sorted((song.root + step) % layout.PITCHES for step in scale)
    if not strong:
        return ladder[place]
    tones = {(song.root + step) % layout.PITCHES for step in chord}
    return min(tones, key=lambda tone: (abs(ladder.index(tone) - place), tone))
