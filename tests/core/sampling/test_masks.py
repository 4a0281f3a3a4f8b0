"""Masks from seconds and from pictures."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.masks import chunk_mask, drawn_mask
from acestep_core.timebase import FrameSpan

SPAN = FrameSpan(10, 20)
PART = (SPAN,)


def test_without_fade_the_mask_is_the_span():
    assert torch.equal(chunk_mask(PART, 40), SPAN.mask(40)[None])


@given(fade=st.integers(0, 60))
def test_a_fade_never_touches_the_inside_and_ends_after_its_length(fade):
    mask = chunk_mask(PART, 40, fade / 25)[0]
    assert (mask[10:20] == 1).all()
    assert (mask[max(0, 10 - fade) : 10] > 0).all()
    assert (mask[: max(0, 10 - fade)] == 0).all()
    assert (mask[20 + fade :] == 0).all()


def test_a_fade_falls_linearly():
    assert torch.allclose(chunk_mask(PART, 40, 3 / 25)[0, 20:24], torch.tensor([0.75, 0.5, 0.25, 0.0]))


def test_a_shape_counts_inside_the_span_only_and_keeps_its_soft_values():
    shape = torch.linspace(0, 1, 40)[None]
    mask = chunk_mask((FrameSpan(25, 40),), 40, shape=shape)
    assert torch.equal(mask[0, 25:], shape[0, 25:])
    assert not mask[0, :25].any()


def test_a_fade_follows_the_edges_of_the_shape():
    shape = FrameSpan(13, 16).mask(40)[None]
    assert torch.equal(chunk_mask(PART, 40, 0.2, shape), chunk_mask((FrameSpan(13, 16),), 40, 0.2))


def test_a_whole_span_leaves_a_drawn_mask_as_it_is():
    shape = (torch.arange(80).reshape(2, 40) % 3 == 0).float()
    assert torch.equal(chunk_mask((FrameSpan(0, 40),), 40, shape=shape), shape)


def test_a_shape_without_a_mark_in_the_span_is_refused():
    shape = torch.zeros(1, 40)
    shape[0, 30:] = 1
    with pytest.raises(InvalidInputError, match=r"marks nothing from 0\.4 to 0\.8 s"):
        chunk_mask(PART, 40, shape=shape)


@given(
    edges=st.lists(st.tuples(st.integers(0, 38), st.integers(1, 12)), min_size=1, max_size=6),
    fade=st.integers(0, 30),
)
def test_the_mask_of_several_spans_is_the_union_of_their_masks(edges, fade):
    spans = [FrameSpan(start, min(40, start + length)) for start, length in edges]
    alone = torch.stack([chunk_mask([span], 40, fade / 25) for span in spans])
    assert torch.equal(chunk_mask(spans, 40, fade / 25), alone.amax(0))


def test_what_marks_nothing_in_several_spans_is_told_with_all_of_them():
    with pytest.raises(InvalidInputError, match=r"from 0\.4 to 0\.8 s or from 1 to 1\.2 s\."):
        chunk_mask((SPAN, FrameSpan(25, 30)), 40, shape=torch.zeros(1, 40))


@pytest.mark.parametrize("fade", [-0.04, float("nan"), float("inf")])
def test_an_impossible_fade_is_refused(fade):
    with pytest.raises(InvalidInputError, match="fade"):
        chunk_mask(PART, 40, fade)


@given(width=st.integers(1, 50), frames=st.integers(1, 50))
def test_a_drawn_mask_takes_the_nearest_column(width, frames):
    taken = drawn_mask(torch.arange(width) / 64, frames)[0] * 64
    middles = (torch.arange(frames) + 0.5) / frames * width
    assert ((taken + 0.5 - middles).abs() <= 0.5 + 1e-4).all()


def test_a_mask_of_the_same_length_is_taken_as_it_is():
    mask = torch.rand(3, 1, 17)
    assert torch.equal(drawn_mask(mask, 17), mask[:, 0])


@pytest.mark.parametrize("dimensions", [(), (1,), (1, 1)])
def test_one_bright_pixel_marks_its_column_in_every_kind_of_mask(dimensions):
    picture = torch.zeros(*dimensions, 5, 8)
    picture[..., 3, 2] = 1
    assert drawn_mask(picture, 16)[0].nonzero().flatten().tolist() == [4, 5]


def test_values_beyond_the_range_are_clamped():
    assert drawn_mask(torch.tensor([-1.0, 2.0]), 2).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("picture", [torch.zeros(0), torch.zeros(2, 0, 4), torch.tensor([float("nan")])])
def test_an_empty_or_broken_mask_is_refused(picture):
    with pytest.raises(InvalidInputError, match="mask"):
        drawn_mask(picture, 5)
