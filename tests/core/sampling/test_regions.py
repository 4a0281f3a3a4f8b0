"""Lines of regions, by the table that the browser's parser is held to as well (tests/web/regions.test.mjs)."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.regions import (
    MOST_REGIONS,
    chosen,
    cut_off,
    line_of,
    marked,
    merged,
    regions_of,
    samples_around,
)
from acestep_core.timebase import FrameSpan

TABLE = json.loads((Path(__file__).parents[2] / "fixtures" / "regions.json").read_text(encoding="utf-8"))
SPANS = st.lists(
    st.tuples(st.integers(0, 14_990), st.integers(1, 300)).map(
        lambda pair: FrameSpan(pair[0], min(15_000, sum(pair)))
    ),
    max_size=20,
)


@pytest.mark.parametrize("case", TABLE["read"], ids=lambda case: case["line"] or "empty")
def test_a_line_is_read_and_printed(case):
    found = regions_of(case["line"])
    assert [[span.start, span.stop] for span in found] == case["frames"]
    assert line_of(found) == case["printed"]


@pytest.mark.parametrize("case", TABLE["refused"], ids=lambda case: case["line"])
def test_what_is_no_line_of_regions_is_refused_in_two_sentences(case):
    with pytest.raises(InvalidInputError) as refused:
        regions_of(case["line"])
    assert case["words"] in refused.value.problem
    assert refused.value.remedy.endswith(".")


def test_more_regions_than_one_can_see_are_refused():
    assert len(regions_of(", ".join(f"{n}-{n}.5" for n in range(MOST_REGIONS)))) == MOST_REGIONS
    with pytest.raises(InvalidInputError, match="There are 65 regions"):
        regions_of(", ".join(f"{n}-{n}.5" for n in range(MOST_REGIONS + 1)))
    with pytest.raises(InvalidInputError, match="9999 characters"):
        regions_of("1" * 9999)


def test_a_long_word_is_shown_in_part():
    with pytest.raises(InvalidInputError) as refused:
        regions_of("x" * 4000)
    assert len(refused.value.problem) < 80
    with pytest.raises(InvalidInputError) as refused:
        regions_of("0-" + "9" * 4000)
    assert len(refused.value.problem) < 80


@given(SPANS)
def test_what_was_printed_is_read_back(spans):
    kept = merged(spans)
    assert regions_of(line_of(kept)) == kept


@given(SPANS)
def test_merging_keeps_exactly_the_frames_and_leaves_gaps_between(spans):
    kept = merged(spans)
    inside = {frame for span in spans for frame in range(span.start, span.stop)}
    assert {frame for span in kept for frame in range(span.start, span.stop)} == inside
    assert all(one.stop < other.start for one, other in pairwise(kept))


def test_an_empty_line_leaves_it_to_start_and_end():
    assert chosen("", 1.0, -1.0, 100) == (FrameSpan(25, 100),)
    assert chosen("", 1.0, 2.0, 100) == (FrameSpan(25, 50),)


def test_regions_go_before_start_and_end_and_are_cut_at_the_song_s_end():
    assert chosen("1-2, 3-9, 8-10", 0.0, 0.5, 100) == (FrameSpan(25, 50), FrameSpan(75, 100))
    assert chosen("1-2, 5-9", 0.0, 0.5, 100) == (FrameSpan(25, 50),)
    with pytest.raises(InvalidInputError, match="begin at 4 s, and the song ends at 4 s"):
        chosen("4-9", 0.0, -1.0, 100)


def test_what_reaches_beyond_the_song_is_said_in_seconds():
    assert (
        marked(chosen("1-2, 3-9", 0.0, 0.5, 100), 100) == "Marked: 1.00-2.00 s, 3.00-4.00 s, 2.00 of 4.00 s."
    )
    for end in (-1.0, 3.0, 4.0, 4.03):  # the last frame holds 4.03 s not, and nobody hears so little
        assert cut_off("", end, 100) == []
    assert cut_off("", 4.04, 100) == [
        "The part was to end at 4.04 s, but the song ends at 4 s: it is made anew up to there."
    ]
    assert cut_off("1-2, 3-4", 99.0, 100) == []
    (told,) = cut_off("3-9, 1-2", 1.0, 100)
    assert told.startswith("The last region was to end at 9 s, but the song ends at 4 s")


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_a_part_is_cut_where_its_frames_lie(rate):
    frame, rest = rate // 25, 7
    parts = regions_of("1-2, 3-3.2")
    assert samples_around(parts, 100, 100 * frame + rest, rate) == slice(25 * frame, 80 * frame)
    to_the_end = regions_of("1-4")
    assert samples_around(to_the_end, 100, 100 * frame + rest, rate) == slice(25 * frame, 100 * frame + rest)


def test_at_odd_rates_the_last_frame_ends_with_the_sound_and_parts_meet():
    """15199 samples at 37999 Hz are 19200 at 48 kHz, ten frames; the last one would end at sample 15199.6."""
    cuts = [samples_around([FrameSpan(at, at + 1)], 10, 15_199, 37_999) for at in range(10)]
    assert cuts[-1] == slice(13_680, 15_199)
    assert [one.stop for one in cuts[:-1]] == [one.start for one in cuts[1:]]
    assert all(one.stop > one.start for one in cuts)
