"""What the network is shown for each task, and how songs become longer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.context import Context, at_least, extended, fitted
from acestep_core.silence import Silence
from acestep_core.timebase import FrameSpan

SILENCE = Silence(torch.randn(1, 60, 4, generator=torch.Generator().manual_seed(0)))


def song(frames: int = 50, batch: int = 1):
    return torch.randn(batch, frames, 4, generator=torch.Generator().manual_seed(frames))


def test_without_a_mask_everything_is_generated_and_the_source_stays():
    context = Context.of(song(), None, [False], SILENCE)
    assert torch.equal(context.source, song())
    assert context.mask.all()


def test_a_silenced_span_holds_silence_of_the_same_place_and_the_rest_is_kept():
    mask = FrameSpan(10, 20).mask(50)[None]
    context = Context.of(song(), mask, [True], SILENCE)
    assert torch.equal(context.source[:, 10:20], SILENCE.frames(50)[:, 10:20])
    assert torch.equal(context.source[:, :10], song()[:, :10])
    assert torch.equal(context.source[:, 20:], song()[:, 20:])
    assert context.mask[0, :, 0].tolist() == mask[0].tolist()


def test_a_region_of_a_task_that_keeps_its_source_only_marks():
    mask = FrameSpan(10, 20).mask(50)[None]
    context = Context.of(song(), mask, [False], SILENCE)
    assert torch.equal(context.source, song())
    assert context.mask.sum() == 10


def test_the_network_is_shown_ones_and_zeros_only():
    soft = torch.tensor([[0.0, 0.3, 0.5, 0.51, 1.0]])
    assert Context.of(song(5), soft, [True], SILENCE).mask[0, :, 0].tolist() == [0, 0, 0, 1, 1]


def test_songs_of_one_batch_may_follow_different_rules():
    mask = FrameSpan(10, 20).mask(50).expand(2, -1)
    context = Context.of(song(batch=2), mask, [True, False], SILENCE)
    assert not torch.equal(context.source[0], song(batch=2)[0])
    assert torch.equal(context.source[1], song(batch=2)[1])


def test_rows_hold_the_source_then_the_mask_once_per_channel():
    rows = Context.of(song(), FrameSpan(3, 9).mask(50)[None], [False], SILENCE).rows()
    assert rows.shape == (1, 50, 8)
    assert torch.equal(rows[..., :4], song())
    assert torch.equal(rows[..., 4], rows[..., 7])


def test_the_silent_context_keeps_the_mask():
    context = Context.of(song(), FrameSpan(3, 9).mask(50)[None], [False], SILENCE)
    silent = context.silent(SILENCE)
    assert torch.equal(silent.mask, context.mask)
    assert torch.equal(silent.source, SILENCE.frames(50))


@given(left=st.integers(0, 40), right=st.integers(0, 40), frames=st.integers(1, 30))
def test_extending_keeps_the_song_bit_by_bit_and_masks_only_what_is_new(left, right, frames):
    if left + right == 0:
        return
    longer, mask = extended(song(frames), left, right, SILENCE)
    assert longer.shape[1] == mask.shape[1] == left + frames + right
    assert torch.equal(longer[:, left : left + frames], song(frames))
    assert mask.sum() == left + right
    assert torch.equal(longer[mask.bool()], SILENCE.frames(longer.shape[1])[mask.bool()])


@pytest.mark.parametrize(("left", "right"), [(0, 0), (-1, 5), (5, -1)])
def test_extending_by_nothing_is_refused(left, right):
    with pytest.raises(InvalidInputError, match="would be extended"):
        extended(song(), left, right, SILENCE)


def test_a_short_song_is_filled_with_the_first_frames_of_silence_and_a_long_one_left_alone():
    filled = at_least(60, song(50), SILENCE)
    assert torch.equal(filled[:, :50], song(50))
    assert torch.equal(filled[:, 50:], SILENCE.frames(10))
    assert torch.equal(at_least(30, song(50), SILENCE), song(50))


@pytest.mark.parametrize("frames", [30, 50, 70])
def test_hints_are_cut_or_filled_to_the_songs_length(frames):
    assert fitted(song(50), frames, SILENCE).shape[1] == frames
