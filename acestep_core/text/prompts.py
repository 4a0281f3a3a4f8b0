"""What a musician asks for, and the two texts that the model reads about it: caption prompt and lyrics prompt."""

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..errors import InvalidInputError
from ..timebase import MAX_SECONDS

# fmt: off
LANGUAGES = (
    "ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hr", "ht", "hu",
    "id", "is", "it", "ja", "ko", "la", "lt", "ms", "ne", "nl", "no", "pa", "pl", "pt", "ro", "ru", "sa", "sk", "sr",
    "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "yue", "zh", "unknown",
)
TRACKS = (
    "woodwinds", "brass", "fx", "synth", "strings", "percussion", "keyboard", "guitar", "bass", "drums",
    "backing_vocals", "vocals",
)
# fmt: on
ACCIDENTALS = ("", "#", "b", "\u266f", "\u266d")  # the last two are the typographic sharp and flat
KEYS = tuple(
    f"{note}{accidental} {mode}"
    for note in "ABCDEFG"
    for accidental in ACCIDENTALS
    for mode in ("major", "minor")
)
TIME_SIGNATURES = ("2", "3", "4", "6")
SPELT_TIME_SIGNATURES = MappingProxyType(
    {"2": "2/4", "3": "3/4", "4": "4/4", "6": "6/8"}
)  # as users type them
BPM_RANGE = (30, 300)
MIN_SECONDS = 10.0  # shorter songs are possible, but the model saw none
UNKNOWN_SECONDS = 30.0  # what the metadata say when nothing tells the length
INSTRUMENTAL = "[Instrumental]"
UNSAID = "N/A"


@dataclass(frozen=True, slots=True)
class Special:
    """A special token by its name. The same characters in a plain string stay ordinary text."""

    name: str

    def __str__(self) -> str:
        return self.name


END_OF_TEXT = Special("<|endoftext|>")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Text in pieces: only a `Special` piece becomes a special token, whatever a user wrote in the others."""

    pieces: tuple[str | Special, ...]

    def __str__(self) -> str:
        return "".join(map(str, self.pieces))


@dataclass(frozen=True, slots=True)
class StemControl:
    """What checkpoints trained on stems want to know beside the caption, which then describes one stem."""

    global_caption: str  # the whole song
    explicit_mask: bool  # the mask marks where to play, instead of leaving that to the model
    segment: bool = False  # only a part of the song is asked for; the global caption is then left out


@dataclass(frozen=True, slots=True)
class Brief:
    """What is wanted of one song; None (for numbers also 0, for words also blank) leaves a field to the model."""

    caption: str
    lyrics: str = ""
    language: str = "en"
    bpm: int | None = None
    key: str | None = None
    time_signature: str | None = None
    duration: float | None = None  # seconds
    tracks: tuple[str, ...] = ()
    stem: StemControl | None = None

    def __post_init__(self) -> None:
        check_text("caption", self.caption)
        check_text("lyrics", self.lyrics)
        if self.stem is not None:
            check_text("global caption", self.stem.global_caption)
        check_choice("language", self.language, LANGUAGES)
        check_metadata(self)
        for track in self.tracks:
            check_choice("track", track, TRACKS)
        if len(set(self.tracks)) < len(self.tracks):
            raise InvalidInputError(
                f"A track is named twice in {', '.join(self.tracks)}.", "Name each track once."
            )

    @property
    def instrumental(self) -> bool:
        """Whether the lyrics say that nobody sings."""
        return self.lyrics.strip() == INSTRUMENTAL

    def as_instrumental(self) -> "Brief":
        """The same song without singing; the language stays."""
        return replace(self, lyrics=INSTRUMENTAL)


def check_text(name: str, text: str) -> None:
    """Refuse what no tokenizer can read: a lone half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"Character {error.start + 1} of the {name} is half a character ({text[error.start]!a}).",
            "Delete it or type it again; it is usually the remains of a cut emoji.",
        ) from error


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that the model does not know."""
    if value not in choices:
        raise InvalidInputError(
            f"The {name} {value[:80]!r} is not known.", f"Choose one of {', '.join(choices)}."
        )


def check_metadata(brief: Brief) -> None:
    """Refuse tempo, key, time signature and duration that the model was never told."""
    require_tempo(brief.bpm or 0)
    if said(brief.key) not in (*KEYS, UNSAID):
        raise InvalidInputError(
            f"The key {said(brief.key)[:80]!r} is not known.",
            "Write a note from A to G, # or b if needed, then major or minor, such as `C# minor`.",
        )
    check_choice(
        "time signature",
        said(brief.time_signature),
        (*TIME_SIGNATURES, *SPELT_TIME_SIGNATURES.values(), UNSAID),
    )
    if brief.duration is not None and not (math.isfinite(brief.duration) and brief.duration > 0):
        raise InvalidInputError(
            f"A duration of {brief.duration:g} seconds is no length.",
            f"Choose {MIN_SECONDS:g} to {MAX_SECONDS:g} seconds, or leave it to the model.",
        )


def require_tempo(bpm: int) -> None:
    """Refuse beats per minute that the model was never told. bpm: 0 for auto."""
    low, high = BPM_RANGE
    if bpm and not low <= bpm <= high:
        raise InvalidInputError(
            f"A tempo of {bpm} bpm is out of range.", f"Choose {low} to {high}, or 0 for auto."
        )


def said(word: str | None) -> str:
    """A word of the metadata as the model reads it."""
    return word if word and word.strip() else UNSAID


def metadata_lines(brief: Brief) -> tuple[str, str, str, str]:
    """What the model is told in figures; the duration always says a number."""
    seconds = UNKNOWN_SECONDS if brief.duration is None else brief.duration
    return (
        f"bpm: {brief.bpm or UNSAID}",
        f"timesignature: {said(brief.time_signature)}",
        f"keyscale: {said(brief.key)}",
        f"duration: {int(seconds)} seconds",
    )


def metadata_text(brief: Brief) -> str:
    """The metadata as they stand in the prompt, four lines each with its newline."""
    return "".join(f"- {line}\n" for line in metadata_lines(brief))


def holds_whole_prompt(caption: str) -> bool:
    """Whether somebody pasted a whole prompt where a caption belongs."""
    return "# Instruction" in caption and "# Caption" in caption


def caption_text(brief: Brief) -> str:
    """The caption as the model reads it: taken out of a pasted prompt, and with the stem's lines around it."""
    caption = brief.caption
    if holds_whole_prompt(caption):
        caption = caption.split("# Caption", 1)[1].split("# Metas", 1)[0].strip()
    if brief.stem is None:
        return caption
    opening = "" if brief.stem.segment else f"Global: {brief.stem.global_caption}\n"
    return f"{opening}Local: {caption}\nMask Control: {'true' if brief.stem.explicit_mask else 'false'}"


def caption_prompt(instruction: str, brief: Brief) -> Prompt:
    """What the text encoder reads: instruction, caption and metadata."""
    colon = "" if instruction.endswith(":") else ":"
    text = f"# Instruction\n{instruction}{colon}\n\n# Caption\n{caption_text(brief)}\n\n# Metas\n{metadata_text(brief)}"
    return Prompt((text, END_OF_TEXT, "\n"))


def lyrics_prompt(brief: Brief) -> Prompt:
    """What the lyric encoder reads: language and words, with tags such as [Chorus] as plain text."""
    return Prompt((f"{lyrics_heading(brief)}{brief.lyrics}", END_OF_TEXT))


def lyrics_heading(brief: Brief) -> str:
    """What stands before the words."""
    return f"# Languages\n{brief.language}\n\n# Lyric\n"


def remarks(brief: Brief) -> tuple[str, ...]:
    """What a musician should know about an allowed but unusual brief, one sentence each."""
    lines = []
    if brief.duration is not None and not MIN_SECONDS <= brief.duration <= MAX_SECONDS:
        lines.append(
            f"The model was made for {MIN_SECONDS:g} to {MAX_SECONDS:g} seconds, "
            f"and the metadata say {brief.duration:g}."
        )
    if holds_whole_prompt(brief.caption):
        lines.append("The caption holds a whole prompt; only the part under its `# Caption` is used.")
    return tuple(lines)
