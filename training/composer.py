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
    rhythms: tuple[tuple[int, ...], ...]  # of the melody, in eighths of two bars
    hooks: tuple[
        tuple[int, ...], tuple[int, ...]
    ]  # places in the scale, per eighth of two bars, of both parts
    has_form: bool = True  # sections differ


@dataclass(frozen=True, slots=True)
class Section:
    """Four bars, and how they differ from the style's usual ones."""

    part: int  # which of the two progressions and melodies
    full: bool = False  # chords in every eighth, a crash in every bar
    bare: bool = False  # no drums, one bass note per bar


PLAIN, OTHER = Section(0), Section(1)
CHORUS, BRIDGE = Section(1, full=True), Section(0, bare=True)
FORM = (PLAIN, PLAIN, OTHER, PLAIN)  # of an instrumental
STYLES = {
    "calm": Style(
        8,
        (0, 1, 2, 3, 4, 5, 6, 7),
        True,
        (0, 4),
        {},
        ((0, 4, 6, 8, 12), (0, 2, 4, 8, 10, 12), (0, 3, 4, 8, 12, 14)),
        ("x...x...x...x...", "x.x.x...x...x..."),
    ),
    "pop": Style(
        8,
        (0, 2, 4, 6),
        False,
        (0, 3, 4, 7),
        {layout.KICK: (0, 4), layout.SNARE: (2, 6), layout.HAT: (0, 1, 2, 3, 4, 5, 6, 7)},
        ((0, 2, 3, 4, 6, 8, 10, 11, 12), (0, 3, 4, 6, 7, 8, 11, 12), (0, 1, 2, 4, 6, 8, 9, 10, 12, 14)),
        ("x.xxx.x.x.xxx.x.", "x..x..x.x..xx..."),
    ),
    "dance": Style(
        8,
        (1, 3, 5, 7),
        False,
        (1, 3, 5, 7),
        {layout.KICK: (0, 2, 4, 6), layout.SNARE: (2, 6), layout.HAT: (1, 3, 5, 7)},
        ((0, 1, 3, 4, 6, 8, 9, 11, 12, 14), (0, 2, 4, 5, 7, 8, 10, 12, 13, 15), (0, 3, 6, 8, 11, 14)),
        ("x.x.x.x.x.x.xx..", "..x.x.xx..x.x.x."),
    ),
    "latin": Style(
        8,
        (0, 3, 6),
        False,
        (0, 3, 6, 7),
        {layout.KICK: (0, 4), layout.SNARE: (3, 6), layout.HAT: (0, 2, 4, 6)},
        ((0, 1, 3, 4, 6, 8, 9, 11, 12), (0, 3, 5, 6, 8, 11, 13, 14), (0, 2, 3, 6, 8, 10, 11, 14)),
        ("x..x..x.x..x..x.", "x.xx..x.x.xx..x."),
    ),
    "waltz": Style(
        6,
        (2, 4),
        False,
        (0,),
        {layout.KICK: (0,), layout.HAT: (2, 4)},
        ((0, 2, 4, 6, 10), (0, 4, 5, 6, 8, 10), (0, 2, 3, 4, 6)),
        ("x.x.x.x.x...", "x.x.x.x.x.x."),
        has_form=False,
    ),
}
FOREIGN = {  # what only an adapter teaches
    "march": Style(
        8,
        (2, 6),
        False,
        (0, 4),
        {layout.KICK: (0, 4), layout.SNARE: (1, 2, 3, 5, 6, 7)},
        ((0, 3, 4, 6, 8, 10, 12), (0, 2, 3, 4, 8, 10, 11, 12), (0, 4, 6, 7, 8, 12, 14, 15)),
        ("x..xx.x.x.x.xx..", "x.x.x.xxx.x.x.xx"),
    ),
}


@dataclass(frozen=True, slots=True)
class Song:
    """All choices that make one song; the same ones give the same score."""

    eighth: int  # frames per eighth note
    root: int  # pitch class of the tonic
    mode: str
    style: str  # of STYLES or FOREIGN
    lead: str
    rhythm: int  # which of the style's rhythms
    contours: tuple[
        tuple[int, ...], tuple[int, ...]
    ]  # places in the scale, one per eighth of two bars, per part
    form: tuple[Section, ...] = FORM
    has_hook: bool = True  # the first two bars of every four are the style's own; the others are improvised

    @classmethod
    def drawn(cls, rng: np.random.Generator, **fixed: object) -> "Song":
        """A song with everything drawn that is not fixed."""
        style = str(fixed.get("style") or rng.choice(list(STYLES)))
        choices: dict[str, object] = {
            "eighth": int(rng.choice(layout.EIGHTHS)),
            "root": int(rng.integers(layout.PITCHES)),
            "mode": MODES[rng.integers(2)],
            "lead": layout.LEADS[rng.integers(len(layout.LEADS))],
            "rhythm": int(rng.integers(len(style_named(style).rhythms))),
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
        return str(style_named(self.style).eighths // 2)


def style_named(name: str) -> Style:
    """A style that the model knows, or that an adapter teaches."""
    return STYLES[name] if name in STYLES else FOREIGN[name]


def sung_form(chorus: bool, bridge: bool) -> tuple[Section, ...]:
    """The form of a song with words: every second four bars are its chorus, the third its bridge, where there is one."""
    second = CHORUS if chorus else PLAIN
    return PLAIN, second, BRIDGE if bridge else PLAIN, second


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
    style = style_named(song.style)
    bar, place = divmod(eighth, style.eighths)
    section = song.form[bar // BARS_PER_SECTION % len(song.form)] if style.has_form else PLAIN
    chord = CHORDS[PROGRESSIONS[song.mode][section.part][bar % BARS_PER_SECTION]]
    struck = [] if section.bare else drums(style, section, bar, place)
    notes = [(song.root + step) % layout.PITCHES for step in chord]
    struck += accompaniment(style, section, place, notes)
    moment = bar % 2 * style.eighths + place
    if song.has_hook and bar % BARS_PER_SECTION < 2:
        note = notes[0] if style.hooks[section.part][moment] == "x" else None
    else:
        note = improvised(song, chord, section.part, moment, strong=place % 4 == 0)
    if note is not None:
        struck.append(layout.LEAD_START[song.lead] + note)
    return struck


def drums(style: Style, section: Section, bar: int, place: int) -> list[int]:
    """The drums struck in one eighth of a bar."""
    struck = [drum for drum, places in style.drums.items() if place in places]
    opens = place == 0 and (section.full or bar % BARS_PER_SECTION == 0)
    return [*struck, layout.CRASH] if style.drums and opens else struck


def accompaniment(style: Style, section: Section, place: int, notes: list[int]) -> list[int]:
    """Bass and chords of one eighth; notes: the chord's pitch classes, bass note first."""
    struck = []
    if place in ((0,) if section.bare else style.bass):
        struck.append(layout.BASS_START + notes[0])
    if section.full or place in style.chords:
        broken = style.broken and not section.full
        played = [sorted(notes)[(0, 1, 2, 1)[place % 4]]] if broken else notes
        struck += [layout.CHORD_START + note for note in played]
    return struck


def improvised(song: Song, chord: tuple[int, ...], part: int, moment: int, strong: bool) -> int | None:
    """The note of the wandering melody in an eighth of two bars, if it has one there; places of the scale are taken as
    going up from C, and strong beats move to a note of the chord.
    """
    if moment not in style_named(song.style).rhythms[song.rhythm]:
        return None
    place = song.contours[part][moment]
    scale = set(SCALES[song.mode])
    if LEADING_TONE in chord and song.mode == "minor":
        scale = scale - {10} | {LEADING_TONE}
    ladder = sorted((song.root + step) % layout.PITCHES for step in scale)
    if not strong:
        return ladder[place]
    tones = {(song.root + step) % layout.PITCHES for step in chord}
    return min(tones, key=lambda tone: (abs(ladder.index(tone) - place), tone))
