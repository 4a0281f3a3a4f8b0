"""Timed lyrics as texts: every form is read back, and no time rounds to 60 seconds."""

import json
import re
from itertools import pairwise

import pytest

from acestep_core.text.lrc import (
    TimedLyrics,
    line_of,
    lrc_time,
    split_words,
    srt_time,
    timed_lines,
    to_json,
    to_lrc,
    to_srt,
)

LYRICS = "[Verse 1]\nHello world, how are you\n\nGood [oh] bye\n[Chorus]\n你好世界 🎵\nLa la"


def timed(text: str, step: float = 0.5) -> TimedLyrics:
    """Tokens of one byte each, which cuts every other letter into pieces."""
    pieces = [bytes([byte]) for byte in text.encode()]
    times = [(place * step, place * step) for place in range(len(pieces))]
    return TimedLyrics(timed_lines(pieces, times), len(pieces) * step, 0.9, "A [live] song", "Somebody")


@pytest.mark.parametrize(
    ("seconds", "lrc", "srt"),
    [
        (0.0, "00:00.00", "00:00:00,000"),
        (59.996, "01:00.00", "00:00:59,996"),
        (59.9996, "01:00.00", "00:01:00,000"),
        (600.0, "10:00.00", "00:10:00,000"),
        (3661.5, "61:01.50", "01:01:01,500"),
        (7.005, "00:07.00", "00:00:07,005"),
    ],
)
def test_times_are_counted_in_whole_units(seconds, lrc, srt):
    assert (lrc_time(seconds), srt_time(seconds)) == (lrc, srt)


def test_lines_end_with_the_token_that_holds_their_break_and_empty_ones_are_dropped():
    lines = timed(LYRICS).lines
    assert [line.text for line in lines] == [line for line in LYRICS.split("\n") if line]
    assert all(first.end < second.start for first, second in pairwise(lines))


def test_the_words_of_a_line_join_to_the_line():
    for line in timed(LYRICS).lines:
        assert "".join(word.text for word in line.words) == line.text
        assert all(line.start <= word.start <= word.end <= line.end for word in line.words)


def test_a_line_break_and_the_next_word_may_share_a_token():
    lines = timed_lines([b"one", b" two\n", b"three"], [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)])
    assert [(line.text, line.start, line.end) for line in lines] == [
        ("one two", 0.0, 2.0),
        ("three", 2.0, 3.0),
    ]


def test_a_character_of_several_tokens_lasts_from_its_first_to_its_last():
    pieces = ["你".encode()[:1], "你".encode()[1:] + b"a"]
    (line,) = timed_lines(pieces, [(0.0, 1.0), (1.0, 2.0)])
    assert [(word.text, word.start, word.end) for word in line.words] == [("你", 0.0, 2.0), ("a", 1.0, 2.0)]


def test_a_broken_character_at_a_cut_end_is_shown_as_such():
    line = line_of([b"la ", "你".encode()[:2]], [(0.0, 1.0), (1.0, 2.0)])
    assert line.text == "la \ufffd"
    assert line.words[-1].end == 2.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("la la", ["la ", "la"]),
        ("你好 世界", ["你", "好 ", "世", "界"]),
        ("こんにちは", list("こんにちは")),
        ("שלום עולם", ["שלום ", "עולם"]),
        ("  x", ["  ", "x"]),
        ("don't stop 🎵!", ["don't ", "stop ", "🎵!"]),
    ],
)
def test_words_end_at_spaces_and_scripts_without_them_at_each_character(text, words):
    assert split_words(text) == words
    assert "".join(words) == text


def test_an_lrc_has_its_head_and_leaves_tags_out_unless_asked():
    lines = to_lrc(timed(LYRICS)).splitlines()
    assert lines[:3] == ["[ti:A (live) song]", "[ar:Somebody]", "[length:00:41]"]
    assert lines[3] == "[00:05.00]Hello world, how are you"
    assert not [line for line in lines[3:] if "[Chorus]" in line or "[Verse" in line]
    assert sum("[Chorus]" in line for line in to_lrc(timed(LYRICS), tags=True).splitlines()) == 1


def test_an_lrc_by_word_holds_the_same_text():
    plain, worded = (to_lrc(timed(LYRICS), by_word).splitlines()[3:] for by_word in (False, True))
    assert [re.sub(r"<[\d:.]+>", "", line) for line in worded] == plain
    assert worded[0].startswith("[00:05.00]<00:05.00>Hello <00:08.00>world,")


@pytest.mark.parametrize("duration", [20.5, 600.0])
def test_the_stamps_of_every_form_are_the_times_of_the_lines(duration):
    """Read back to seconds, as a player does: within what the form can hold, up to the last second of ten minutes."""
    lyrics = timed(LYRICS, duration / len(LYRICS.encode()))
    starts, words = (
        [line.start for line in lyrics.sung()],
        [w.start for line in lyrics.sung() for w in line.words],
    )
    assert starts[-1] > 0.9 * duration

    def seconds(pattern, text):
        return [
            sum(float(part) * unit for part, unit in zip(found, (60, 1), strict=True))
            for found in re.findall(pattern, text, re.M)
        ]

    assert seconds(r"^\[(\d+):(\d+\.\d\d)\]", to_lrc(lyrics)) == pytest.approx(starts, abs=0.005001)
    by_word = to_lrc(lyrics, by_word=True)
    assert seconds(r"^\[(\d+):(\d+\.\d\d)\]", by_word) == pytest.approx(starts, abs=0.005001)
    assert seconds(r"<(\d+):(\d+\.\d\d)>", by_word) == pytest.approx(words, abs=0.005001)
    srt = to_srt(lyrics).replace(",", ".")
    assert seconds(r"^00:(\d\d):(\d\d\.\d{3}) -->", srt) == pytest.approx(starts, abs=0.000501)
    ends = [max(line.end, line.start + 0.3) for line in lyrics.sung()]
    assert seconds(r"--> 00:(\d\d):(\d\d\.\d{3})$", srt) == pytest.approx(ends, abs=0.000501)


def test_subtitles_last_a_moment_and_never_into_the_next():
    srt = to_srt(timed(LYRICS, step=0.01))
    spans = re.findall(r"(\d+):(\d+):(\d+),(\d+) --> (\d+):(\d+):(\d+),(\d+)", srt)
    times = [[int(part) for part in span] for span in spans]
    starts = [((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms, *_ in times]
    ends = [((h * 60 + m) * 60 + s) * 1000 + ms for *_, h, m, s, ms in times]
    assert len(starts) == 4
    assert all(start <= end for start, end in zip(starts, ends, strict=True))
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    assert ends[-1] - starts[-1] == 300
    assert re.match(r"1\n00:00:00,100 --> [\d:,]+\nHello world, how are you\n\n2\n", srt)


def test_the_json_holds_everything():
    found = json.loads(to_json(timed(LYRICS)))
    assert set(found) == {"duration", "confidence", "lines"}
    assert found["confidence"] == 0.9
    first = found["lines"][0]
    assert first["text"] == "Hello world, how are you"
    assert [word["text"] for word in first["words"]] == first["text"].split()


def test_only_tags_leave_an_empty_song():
    lyrics = timed("[Intro]\n[Outro]")
    assert lyrics.sung() == []
    assert to_srt(lyrics) == ""
    assert to_lrc(lyrics).splitlines()[-1].startswith("[length:")
