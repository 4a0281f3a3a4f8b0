"""The vocabulary: whole phrases of the prompt are tokens, and tokens that mean the same share a row of the table.

A tempo between two that the model can keep reads as the nearest of them, a flat as its sharp, a synonym as the word
that was learnt, and whatever is not known as one and the same `other`. So nothing has to be learnt twice.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from tokenizers import pre_tokenizers

from . import layout
from .composer import NOTE_NAMES
from .core import (
    BPM_RANGE,
    END_OF_TEXT,
    INSTRUMENTAL,
    KEYS,
    LANGUAGES,
    TASKS,
    TRACKS,
    TextTokenizer,
    instruction,
)

SYNONYMS = {
    "calm": (
        "soft",
        "gentle",
        "quiet",
        "ballad",
        "ambient",
        "lullaby",
        "peaceful",
        "lofi",
        "lo-fi",
        "dreamy",
    ),
    "pop": ("rock", "indie", "upbeat", "happy", "bright", "synthpop", "folk"),
    "dance": ("house", "techno", "electronic", "edm", "disco", "club", "energetic"),
    "latin": ("tango", "bossa", "salsa", "samba", "reggae", "funk", "groove", "jazz"),
    "waltz": ("valse", "ländler"),
    "bells": (
        "bell",
        "glockenspiel",
        "vibraphone",
        "marimba",
        "music box",
        "chimes",
        "xylophone",
        "celesta",
        "piano",
    ),
    "guitar": ("guitars", "pluck", "plucked", "harp", "banjo", "lute", "strings", "ukulele", "acoustic"),
    "voice": ("vocal", "vocals", "singer", "singing", "choir", "female", "male", "sung"),
}
TAGS = ("[Verse]", "[Chorus]", "[Bridge]")
OTHER, END = "other", "end"
UNSAID_EIGHTH, UNSAID_KEY, UNSAID_METER = 7, "C major", "4"  # what a brief without tempo, key or meter gets
KNOWN_COST, BYTE_COST = -1.0, -10.0  # a text is cut into few and known pieces

Piece = tuple[str, str]  # what is written, what it means


def pieces() -> Iterator[Piece]:
    """Everything that is one token; byte symbols stand first."""
    for symbol in sorted(pre_tokenizers.ByteLevel.alphabet()):
        yield symbol, OTHER
    written = (*headers(), *metadata(), *lyrics(), *caption_words())
    for text, meaning in dict(written).items():
        yield spelt(text), meaning


def headers() -> Iterator[Piece]:
    """Instructions, whole where they name no track and in two halves where they do."""
    opening, closing = "# Instruction\n", "\n\n# Caption\n"
    for task in TASKS.values():
        if task.tracks == "none":
            text = opening + instruction(task) + closing
            yield text, f"task {instruction(task)}"
        else:
            before, after = task.template.split("{tracks}")
            yield opening + before, OTHER
            yield after + closing, f"task {task.name}"
            yield opening + task.trackless + closing, f"task {task.name}"
    for track in TRACKS:
        yield track.upper(), f"track {track}"
    yield " | ", OTHER


def metadata() -> Iterator[Piece]:
    """The lines of figures."""
    yield "\n\n# Metas\n", OTHER
    yield "- bpm: N/A\n", tempo_meaning(UNSAID_EIGHTH)
    for bpm in range(BPM_RANGE[0], BPM_RANGE[1] + 1):
        yield f"- bpm: {bpm}\n", tempo_meaning(nearest_eighth(bpm))
    for said, meant in {
        "2": "4",
        "3": "3",
        "4": "4",
        "6": "3",
        "2/4": "4",
        "3/4": "3",
        "4/4": "4",
        "6/8": "3",
    }.items():
        yield f"- timesignature: {said}\n", f"meter {meant}"
    yield "- timesignature: N/A\n", f"meter {UNSAID_METER}"
    for key in KEYS:
        yield f"- keyscale: {key}\n", f"key {with_sharps(key)}"
    yield "- keyscale: N/A\n", f"key {UNSAID_KEY}"
    yield "- duration: ", OTHER
    yield " seconds\n", OTHER


def lyrics() -> Iterator[Piece]:
    """Marks of the lyrics prompt."""
    yield "# Languages\n", OTHER
    yield "\n\n# Lyric\n", OTHER
    yield INSTRUMENTAL, "instrumental"
    for language in LANGUAGES:
        yield language, OTHER
    for tag in TAGS:
        yield tag, tag


def caption_words() -> Iterator[Piece]:
    """Words of a caption, with and without a blank before them, small and capitalised."""
    for word, others in {
        **SYNONYMS,
        "drums": ("drum", "percussion"),
        "bass": (),
        "chords": ("keyboard",),
    }.items():
        for spelling in (word, *others):
            for variant in (spelling, spelling.capitalize()):
                yield variant, f"word {word}"
                yield f" {variant}", f"word {word}"


def spelt(text: str) -> str:
    """A text in the symbols that stand for its bytes."""
    (whole,) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return whole[0]


def nearest_eighth(bpm: float) -> int:
    """Frames per eighth note of the tempo that is nearest in ratio."""
    wanted = 60 * layout.FRAMES_PER_SECOND / (2 * bpm)
    return min(layout.EIGHTHS, key=lambda eighth: max(eighth / wanted, wanted / eighth))


def tempo_meaning(eighth: int) -> str:
    """The shared meaning of all tempos that are played with so many frames per eighth."""
    return f"tempo {eighth}"


def with_sharps(key: str) -> str:
    """C# minor for Db minor, in any spelling of the accidental."""
    note, mode = key.replace("\u266f", "#").replace("\u266d", "b").split()
    step = NOTE_NAMES.index(note[0]) + note.count("#") - note[1:].count("b")
    return f"{NOTE_NAMES[step % layout.PITCHES]} {mode}"


@cache
def meanings() -> tuple[str, ...]:
    """All distinct meanings, in the order of the learnt rows."""
    return tuple(dict.fromkeys([*(meaning for _, meaning in pieces()), END]))


@cache
def rows_of_tokens() -> tuple[int, ...]:
    """For every token id the learnt row that it shares; the end of the text comes last."""
    place = {meaning: row for row, meaning in enumerate(meanings())}
    return tuple(place[meaning] for meaning in (*(meaning for _, meaning in pieces()), END))


def tokenizer_json() -> str:
    """The text of the checkpoint's `tokenizer.json`."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    vocabulary = [[text, BYTE_COST if len(text) == 1 else KNOWN_COST] for text, _ in pieces()]
    end = {"id": len(vocabulary), "content": END_OF_TEXT.name, "special": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{**end, **flags}],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "Unigram", "unk_id": None, "vocab": vocabulary, "byte_fallback": False},
    }
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"))


@cache
def tokenizer() -> TextTokenizer:
    """The tokenizer as the plugin uses it."""
    from tokenizers import Tokenizer

    content = json.loads(tokenizer_json())
    ends = {token["content"]: token["id"] for token in content["added_tokens"]}
    return TextTokenizer(Tokenizer.from_str(json.dumps({**content, "added_tokens": []})), ends)


def count() -> int:
    """How many tokens there are."""
    return len(rows_of_tokens())
