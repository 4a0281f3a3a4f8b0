"""Seconds, samples, frames and codes: conversions and spans."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import InvalidInputError
from acestep_core.timebase import (
    CODES_PER_SECOND,
    FRAMES_PER_SECOND,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    FrameSpan,
    frame_at,
    frames_in,
    frames_of,
    require_span,
    samples_of,
    seconds_of,
)


def official_frames_of(seconds: float) -> int:
    """Latent frames by the official float arithmetic, which loses a frame at some durations (10.2 s)."""
    return int(max(0.1, round(seconds, 1)) * SAMPLE_RATE) // SAMPLES_PER_FRAME


def test_the_clocks_agree():
    assert (FRAMES_PER_SECOND, CODES_PER_SECOND) == (25, 5)
    assert samples_of(25) == 48_000


@pytest.mark.parametrize(
    ("seconds", "frames", "official"),
    [(10, 250, 250), (10.2, 255, 254), (16.4, 410, 409), (30, 750, 750), (600, 15_000, 15_000)],
)
def test_durations_round_to_the_nearest_frame_where_the_official_floats_lose_one(seconds, frames, official):
    assert frames_of(seconds) == frames
    assert official_frames_of(seconds) == official


def test_the_official_rule_loses_a_frame_at_270_of_the_durations_with_one_decimal():
    durations = [tenths / 10 for tenths in range(100, 6001)]
    assert sum(official_frames_of(d) < int(d * 10 + 0.5) * 25 // 10 for d in durations) == 270


@given(st.integers(0, 15_000))
def test_frames_survive_seconds_and_samples(frames):
    assert frames_of(seconds_of(frames)) == frames
    assert frame_at(seconds_of(frames)) == frames
    assert frames_in(samples_of(frames) + 1_919) == frames


@given(frames=st.integers(1, 5_000), start=st.floats(0, 200), length=st.floats(0.04, 100))
def test_a_span_lies_inside_the_song_or_is_refused(frames, start, length):
    try:
        span = FrameSpan.from_seconds(start, start + length, frames)
    except InvalidInputError:
        assert frame_at(start) >= min(frame_at(start + length), frames)
        return
    assert 0 <= span.start < span.stop <= frames
    assert span.mask(frames).sum() == span.stop - span.start


@pytest.mark.parametrize(("seconds", "frame"), [(0.05, 1), (0.0799, 1), (0.08, 2), (7.99, 199)])
def test_a_moment_belongs_to_the_frame_that_contains_it(seconds, frame):
    assert frame_at(seconds) == frame


def test_the_official_rule_rounds_to_tenths_of_a_second_first():
    assert official_frames_of(10.26) == official_frames_of(10.3) == 257


def test_a_negative_end_means_the_end_of_the_song():
    assert FrameSpan.from_seconds(1.0, -1, 100) == FrameSpan(25, 100)


def test_a_mask_is_one_inside_the_half_open_span():
    assert FrameSpan(1, 3).mask(5).tolist() == [0, 1, 1, 0, 0]
    assert FrameSpan(1, 3).mask(5).dtype == torch.float32


@pytest.mark.parametrize(("start", "end"), [(4, 4), (5, 3), (-1, 3), (3.99, 3.995), (12, 11)])
def test_an_empty_span_is_refused_with_both_times_in_the_sentence(start, end):
    for refuse in (require_span, lambda start, end: FrameSpan.from_seconds(start, end, 250)):
        with pytest.raises(InvalidInputError, match=f"The part from {start:g} to {end:g} s is empty"):
            refuse(start, end)


@pytest.mark.parametrize(("start", "end"), [(12, 20), (10, -1)])
def test_a_span_behind_the_song_is_refused_with_the_songs_end(start, end):
    require_span(start, end)
    with pytest.raises(InvalidInputError, match=f"The part begins at {start} s, and the song ends at 10 s"):
        FrameSpan.from_seconds(start, end, 250)
