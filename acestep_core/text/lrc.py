"""Timed lyrics as texts: LRC by line and by word, SRT, JSON. Times are counted in whole units, so that nothing rounds to 60 s."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 0.3  # seconds that a subtitle is shown at least
TAG = r"\[[^\[\]]*\]"  # [Verse 1], [Chorus]
SPACELESS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Japanese and Chinese characters


@dataclass(frozen=True, slots=True)
class TimedText:
    """A word, character or line, and when it is sung."""

    start: float  # seconds
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class TimedLine:
    """A line of lyrics with its words; joined as they stand, the words are the line."""

    start: float
    end: float
    text: str
    words: tuple[TimedText, ...]

    @property
    def is_tag(self) -> bool:
        """Whether it is a structure tag alone, which nobody sings."""
        return re.fullmatch(TAG, self.text) is not None


@dataclass(frozen=True, slots=True)
class TimedLyrics:
    """The lyrics of one song with their times; no lines: the singing was not found."""

    lines: tuple[TimedLine, ...]
    duration: float
    confidence: float  # share of the sung tokens that the model's attention points at
    title: str = ""
    artist: str = ""

    def sung(self, tags: bool = False) -> list[TimedLine]:
        """The lines, without structure tags unless asked for."""
        return [line for line in self.lines if tags or not line.is_tag]


def to_lrc(lyrics: TimedLyrics, by_word: bool = False, tags: bool = False) -> str:
    """The common text format of players; by word in the form that karaoke players read."""
    head = [f"[ti:{plain(lyrics.title)}]"] if lyrics.title else []
    head += [f"[ar:{plain(lyrics.artist)}]"] if lyrics.artist else []
    minutes, seconds = divmod(round(lyrics.duration), 60)
    head.append(f"[length:{minutes:02d}:{seconds:02d}]")
    lines = [
        f"[{lrc_time(line.start)}]" + (worded(line) if by_word else line.text) for line in lyrics.sung(tags)
    ]
    return "\n".join([*head, *lines]) + "\n"


def worded(line: TimedLine) -> str:
    """A line with the time of each word before it."""
    return "".join(f"<{lrc_time(word.start)}>{word.text}" for word in line.words).rstrip()


def to_srt(lyrics: TimedLyrics, tags: bool = False) -> str:
    """Subtitles: each line until its own end, at least a moment, at most until the next."""
    lines = lyrics.sung(tags)
    blocks = []
    for number, line in enumerate(lines, start=1):
        end = max(line.end, line.start + SHORTEST)
        if number < len(lines):
            end = min(end, max(lines[number].start, line.start))
        blocks.append(f"{number}\n{srt_time(line.start)} --> {srt_time(end)}\n{line.text}\n")
    return "\n".join(blocks)


def to_json(lyrics: TimedLyrics, tags: bool = False) -> str:
    """Everything, for programs."""
    lines = [
        {
            **as_dict(line),
            "words": [{**as_dict(word), "text": word.text.strip()} for word in line.words],
        }
        for line in lyrics.sung(tags)
    ]
    whole = {"duration": lyrics.duration, "confidence": round(lyrics.confidence, 4), "lines": lines}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def as_dict(timed: TimedText | TimedLine) -> dict[str, float | str]:
    """Start, end and text."""
    return {"start": timed.start, "end": timed.end, "text": timed.text}


def lrc_time(seconds: float) -> str:
    """mm:ss.xx."""
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"


def srt_time(seconds: float) -> str:
    """HH:MM:SS,mmm."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"


def plain(text: str) -> str:
    """A text that ends no tag of an LRC file early."""
    return " ".join(text.replace("[", "(").replace("]", ")").split())


# ------------------------------------------------------------------------------------- from tokens to lines and words
def timed_lines(pieces: Sequence[bytes], times: Sequence[tuple[float, float]]) -> tuple[TimedLine, ...]:
    """Lines of lyrics from the bytes and times of each token; a line ends with a token that holds a line break.

    Characters may be spread over several tokens, and tokens may hold several characters or the ends of two words.
    """
    lines: list[TimedLine] = []
    first = 0
    for place, piece in enumerate(pieces):
        if b"\n" in piece or place == len(pieces) - 1:
            made = line_of(pieces[first : place + 1], times[first : place + 1])
            lines += [made] if made else []
            first = place + 1
    return tuple(lines)


def line_of(pieces: Sequence[bytes], times: Sequence[tuple[float, float]]) -> TimedLine | None:
    """One line; None if there is nothing in it."""
    text = b"".join(pieces).decode("utf-8", "replace")
    if not text.strip():
        return None
    owners = [place for place, piece in enumerate(pieces) for _ in piece]
    begun = TimedLine(round(times[0][0], 3), round(times[-1][1], 3), text.strip(), ())
    words, at = [], 0
    for word in split_words(text):
        size = len(word.encode("utf-8", "replace"))
        held = owners[at : at + size] or owners[-1:]
        at += size
        if word.strip():
            start, end = times[held[0]][0], times[held[-1]][1]
            words.append(TimedText(round(start, 3), round(end, 3), word))
    return TimedLine(begun.start, begun.end, begun.text, tuple(trimmed(words)))


def trimmed(words: Sequence[TimedText]) -> list[TimedText]:
    """The words of a line without the space around it."""
    kept = list(words)
    kept[0] = TimedText(kept[0].start, kept[0].end, kept[0].text.lstrip())
    kept[-1] = TimedText(kept[-1].start, kept[-1].end, kept[-1].text.rstrip())
    return kept


def split_words(text: str) -> list[str]:
    """Words with the space behind them; of scripts without spaces, each character."""
    return re.findall(rf"\s+|[{SPACELESS}]\s*|[^\s{SPACELESS}]+\s*", text)
