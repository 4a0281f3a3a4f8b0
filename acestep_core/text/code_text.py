"""Audio codes as text: the tokens of a planner, and a small JSON file that can be shared."""

import errno
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InvalidInputError
from ..files import parse_json, read_regular
from ..networks.config import AUDIO_CODES
from ..timebase import CODES_PER_SECOND, MAX_SECONDS

MAX_CODES = int(MAX_SECONDS * CODES_PER_SECOND)  # of one song
MAX_SONGS = 64  # of one batch
MAX_FILE_BYTES = 8 << 20  # of a file; the longest batch, written with a space after each comma, takes 1.4 MB
FORMAT, VERSION = "ace-step-1.5-codes", 1  # in the file beside "songs": [[123, 64, ...], ...]

TOKEN = r"<\|audio_code_([0-9]+)\|>"  # a song is a row of them: <|audio_code_123|><|audio_code_64|>...
NEARLY = r"(?s)audio_code.{0,20}"  # what is left of a broken token
SEPARATOR = r"[\s,]*"
THOUGHT_TAGS = "<think>", "</think>"
BLANK_LINE = r"\n[^\S\n]*\n"
REMEDY = "Paste codes like <|audio_code_123|><|audio_code_64|>, of a planner or of Codes to Text."

Songs = tuple[tuple[int, ...], ...]


def parse_codes(text: str) -> tuple[int, ...]:
    """The codes of one song; what a planner wrote before and after them is left out."""
    spoken = without_thoughts(text)
    tokens = list(re.finditer(TOKEN, spoken))
    ends = [0, *(token.end() for token in tokens)]
    starts = [*(token.start() for token in tokens), len(spoken)]
    gaps = [spoken[end:start] for end, start in zip(ends, starts, strict=True)]
    for gap in gaps:
        refuse_broken(gap)
    if not tokens:
        raise InvalidInputError("The text holds no audio code.", REMEDY)
    for number, gap in enumerate(gaps[1:-1], start=1):
        if not re.fullmatch(SEPARATOR, gap):
            raise InvalidInputError(
                f"Behind code {number} stands {gap.strip()[:40]!r}, which is no code.", REMEDY
            )
    return checked_song([number_of(token[1]) for token in tokens], "The text")


def without_thoughts(text: str) -> str:
    """A planner's text with a space for each thought; an opening tag that nothing closes stays."""
    opening, closing = THOUGHT_TAGS
    spoken, at = list[str](), 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start)) >= 0:
        spoken.append(text[at:start])
        at = end + len(closing)
    return " ".join((*spoken, text[at:]))


def parse_songs(text: str) -> Songs:
    """The codes of several songs, with a blank line between one song and the next."""
    parts = re.split(BLANK_LINE, without_thoughts(text.replace("\r\n", "\n")))
    songs = [part for part in parts if "audio_code" in part]
    if not songs:
        raise InvalidInputError("The text holds no audio code.", REMEDY)
    return checked_songs([parse_codes(part) for part in songs], "The text")


def format_codes(codes: Sequence[int]) -> str:
    """One song as the planner writes it; the inverse of `parse_codes`."""
    return "".join(f"<|audio_code_{code}|>" for code in checked_song(codes, "The song"))


def format_songs(songs: Sequence[Sequence[int]]) -> str:
    """Several songs with blank lines between; the inverse of `parse_songs`."""
    return "\n\n".join(format_codes(song) for song in checked_songs(songs, "The batch"))


def codes_to_json(songs: Sequence[Sequence[int]]) -> str:
    """The content of a file of codes."""
    checked = checked_songs(songs, "The batch")
    return json.dumps({"format": FORMAT, "version": VERSION, "songs": checked})


def codes_from_json(content: bytes, name: str) -> Songs:
    """The songs of a file of codes called `name`; the file may come from anybody."""
    if len(content) > MAX_FILE_BYTES:
        raise too_large(name)
    try:
        raw = parse_json(content, MAX_FILE_BYTES)
    except ValueError as error:  # no UTF-8, no JSON, too deep, or a number of thousands of digits
        raise InvalidInputError(
            f"{name} is not a whole JSON file.", "Choose a file of Save Codes."
        ) from error
    return checked_songs(songs_in(raw, name), name)


def read_codes(path: Path) -> Songs:
    """The songs of a file; no more of it is read than codes can fill."""
    try:
        content = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise too_large(path.name) from error
        raise InvalidInputError(
            f"{path.name} cannot be read: {error.strerror}.", "Choose a file of Save Codes that exists."
        ) from error
    return codes_from_json(content, path.name)


def too_large(name: str) -> InvalidInputError:
    """No file of codes is so large."""
    return InvalidInputError(
        f"{name} is larger than {MAX_FILE_BYTES >> 20} MB, which codes never are.",
        "Choose a file of Save Codes.",
    )


def songs_in(raw: Any, name: str) -> list[Any]:
    """What parsed JSON says its songs are, if it is a file of codes that we know."""
    if not isinstance(raw, Mapping) or raw.get("format") != FORMAT:
        raise InvalidInputError(
            f"{name} holds no audio codes: its format is not {FORMAT!r}.", "Choose a file of Save Codes."
        )
    version = raw.get("version")
    if type(version) is not int or version != VERSION:
        raise InvalidInputError(
            f"{name} is of version {shown(version)}; this package reads version {VERSION}.",
            "Update ACE-Step Graph, or save the codes again with this one.",
        )
    unknown = sorted(raw.keys() - {"format", "version", "songs"})
    if unknown or not isinstance(raw.get("songs"), list):
        problem = f"has an unknown field {unknown[0]!r:.40}" if unknown else "has no list of songs"
        raise InvalidInputError(f"{name} {problem}.", "Choose a file of Save Codes that nobody has edited.")
    return raw["songs"]


def checked_songs(songs: Sequence[Any], name: str) -> Songs:
    """The songs of a batch, if that is what they are."""
    if not 1 <= len(songs) <= MAX_SONGS:
        raise InvalidInputError(
            f"{name} holds {len(songs)} songs of codes.", f"Use 1 to {MAX_SONGS} songs in a batch."
        )
    several = len(songs) > 1
    return tuple(
        checked_song(song, f"{name}, song {number}," if several else name)
        for number, song in enumerate(songs, start=1)
    )


def checked_song(codes: Any, name: str) -> tuple[int, ...]:
    """The codes of a song, if that is what they are."""
    if not isinstance(codes, list | tuple) or not codes:
        raise InvalidInputError(
            f"{name} holds no list of codes.", "Use at least one code, a fifth of a second."
        )
    if len(codes) > MAX_CODES:
        raise InvalidInputError(
            f"{name} holds {len(codes)} codes, which is {len(codes) / CODES_PER_SECOND:g} s.",
            f"Shorten it to {MAX_CODES} codes; a song lasts up to {MAX_SECONDS:g} s.",
        )
    for number, code in enumerate(codes, start=1):
        if type(code) is not int or not 0 <= code < AUDIO_CODES:
            raise InvalidInputError(
                f"{name} holds {shown(code)} as code {number}.",
                f"Use whole numbers from 0 to {AUDIO_CODES - 1}.",
            )
    return tuple(codes)


def number_of(digits: str) -> int:
    """The number that ASCII digits spell; one far beyond every code is cut short, which keeps it beyond."""
    return int(digits.lstrip("0")[:10] or "0")


def shown(value: Any) -> str:
    """A stranger's value, short enough for a message; huge numbers cannot even be printed whole."""
    if type(value) is int and abs(value) >= 10**12:
        return "a number of more than 12 digits"
    return (
        f"{value!r:.40}"
        if isinstance(value, bool | int | float | str | None)
        else f"a {type(value).__name__}"
    )


def refuse_broken(text: str) -> None:
    """Refuse text between codes that looks like a broken one."""
    broken = re.search(NEARLY, text)
    if broken:
        raise InvalidInputError(f"The text holds a broken code at {broken[0]!r}.", REMEDY)
