"""What the planner thinks of a song before it is played: a few fields, written as YAML, and the way back."""

import re
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from ..text.code_text import THOUGHT_TAGS, TOKEN
from ..text.prompts import SPELT_TIME_SIGNATURES, UNSAID, Brief, said

YAML_NAMES = MappingProxyType(
    {"key": "keyscale", "time_signature": "timesignature"}
)  # as the planner was taught
UNREPEATED = "genres"  # never stand in a thought that codes are composed by
NUMBERS = ("bpm", "duration")
PLAIN_TIME_SIGNATURES = MappingProxyType({spelt: plain for plain, spelt in SPELT_TIME_SIGNATURES.items()})
LYRIC_HEADING = r"(?i)#[ \t]*lyrics?[ \t]*(?:\n|$)"
LINE_END = r"[\n\r\x85\u2028\u2029]"  # what YAML takes for the end of a line
QUOTED = r"(?s)'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\""
MOST_DIGITS = 18  # of a number that somebody means


@dataclass(frozen=True, slots=True)
class Thought:
    """The fields of a chain of thought; None where nothing is said."""

    bpm: int | None = None
    caption: str | None = None
    duration: int | None = None  # seconds
    genres: str | None = None
    key: str | None = None
    language: str | None = None
    time_signature: str | None = None

    def as_dict(self) -> dict[str, int | str]:
        """The fields that say something, in the order in which the planner writes them."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def yaml_fields(self) -> dict[str, int | str]:
        """The same by the names and in the spelling that the planner was taught."""
        return {yaml_name(name): yaml_value(name, value) for name, value in self.as_dict().items()}

    def overruled_by(self, given: "Thought") -> "Thought":
        """The same thought where `given` is silent, and `given` where it is not."""
        return replace(self, **given.as_dict())

    def without(self, given: "Thought") -> "Thought":
        """What this thought says where `given` is silent."""
        return replace(self, **dict.fromkeys(given.as_dict()))

    def to_yaml(self) -> str:
        """The text that stands between the think tags when codes are composed."""
        import yaml  # noqa: PLC0415  only those who plan pay for the import

        items = {name: value for name, value in self.yaml_fields().items() if name != UNREPEATED}
        return yaml.dump(items, allow_unicode=True, sort_keys=True).strip() if items else ""


def yaml_name(name: str) -> str:
    """What the planner was taught to call a field."""
    return YAML_NAMES.get(name, name)


def yaml_value(name: str, value: int | str) -> int | str:
    """A value as it was taught: plain time signatures, and digits as a number, which YAML leaves unquoted."""
    if isinstance(value, int):
        return value
    plain = plain_time_signature(value) if name == "time_signature" else value
    return int(plain) if is_number(plain) else plain


def plain_time_signature(text: str) -> str:
    """`4` of `4/4` and `6` of `6/8`; others as they are."""
    return PLAIN_TIME_SIGNATURES.get(text, text).removesuffix("/4")


def is_number(text: str) -> bool:
    """Whether the text is digits and nothing else."""
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def one_line(text: str) -> str:
    """Text with its lines joined by single spaces, as a caption is read."""
    lines = (line.strip(" \t") for line in re.split(LINE_END, text))
    return " ".join(line for line in lines if line).strip()


def read(text: str) -> Thought:
    """The thought in a planner's text: between its tags, else whatever stands before the first audio code."""
    opening, closing = THOUGHT_TAGS
    start = text.find(opening)
    end = text.find(closing, start)
    inner = text[start + len(opening) : end] if 0 <= start < end else re.split(TOKEN, text, maxsplit=1)[0]
    return read_fields(inner)


def read_fields(block: str) -> Thought:
    """The thought without its tags; what cannot be a value counts as unsaid, and unknown fields are left out."""
    lines = lines_of_fields(block)
    taught = {field.name: yaml_name(field.name) for field in fields(Thought)}
    values: dict[str, Any] = {
        own: read_value(own, lines[name]) for own, name in taught.items() if name in lines
    }
    return Thought(**values)


def lines_of_fields(block: str) -> dict[str, list[str]]:
    """Field names with the lines of their values: a line without indentation begins a field, others go on."""
    lines: dict[str, list[str]] = {}
    value: list[str] = []
    for line in block.split("\n"):
        if line.startswith((" ", "\t")):
            value.append(line)
        elif ":" in line and not line.startswith("<"):
            name, _, first = line.partition(":")
            value = lines[name.strip().lower()] = [first]
    return lines


def read_value(name: str, lines: list[str]) -> int | str | None:
    """One field's value; None if it is blank, or no number where there should be one."""
    text = one_line(unquoted("\n".join(lines).strip()))
    if name in NUMBERS:
        return int(text) if is_number(text) else None
    return text or None


def unquoted(text: str) -> str:
    """What a quoted YAML text says; any other text as it is."""
    import yaml  # noqa: PLC0415

    if not re.fullmatch(QUOTED, text):
        return text
    try:
        said = str(yaml.safe_load(text))
        said.encode("utf-8")
    except (yaml.YAMLError, ValueError, OverflowError):  # such as an escape that is no character
        return text
    return said


def without_heading(lyrics: str) -> str:
    """Lyrics without the heading that the planner puts above them."""
    lyrics = lyrics.strip()
    found = re.match(LYRIC_HEADING, lyrics)
    return lyrics[found.end() :].strip() if found else lyrics


def thought_of(brief: Brief, with_language: bool = False) -> Thought:
    """What a musician fixed; the language only if asked for, as a brief always names one."""
    signature = spoken(brief.time_signature)
    return Thought(
        bpm=brief.bpm or None,
        duration=max(1, int(brief.duration)) if brief.duration else None,
        key=spoken(brief.key),
        language=brief.language if with_language else None,
        time_signature=signature and plain_time_signature(signature),
    )


def spoken(word: str | None) -> str | None:
    """A word of a brief, None if it leaves the field to the model."""
    return None if said(word) == UNSAID else word


def completed(
    brief: Brief, thought: Thought, write_caption: bool = False, choose_language: bool = False
) -> Brief:
    """The brief with the gaps filled; caption and language, which have no gap, change only where asked for."""
    return replace(
        brief,
        caption=thought.caption or brief.caption if write_caption else brief.caption,
        language=thought.language or brief.language if choose_language else brief.language,
        bpm=brief.bpm or thought.bpm,
        key=spoken(brief.key) or thought.key,
        time_signature=spoken(brief.time_signature) or thought.time_signature,
        duration=brief.duration if brief.duration is not None else thought.duration,
    )
