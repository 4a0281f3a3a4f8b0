import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acestep_core.errors import InvalidAudioError, InvalidInputError
from acestep_core.sound.splice import splice

FRAME = 1_920


def noise(samples: int, seed: int = 0, items: int = 1) -> torch.Tensor:
    return torch.rand(items, 2, samples, generator=torch.Generator().manual_seed(seed)) - 0.5


def mask_of(frames: int, *spans: tuple[int, int]) -> torch.Tensor:
    mask = torch.zeros(frames)
    for start, stop in spans:
        mask[start:stop] = 1
    return mask


def literal_splice(
    new: torch.Tensor, original: torch.Tensor, start: int, stop: int, seconds: float
) -> torch.Tensor:
    """Spec 5.8 for one span whose ramps fit, in samples."""
    n = int(seconds * 48_000)
    weight = torch.zeros(new.shape[-1])
    weight[start:stop] = 1
    weight[start : start + n] = torch.linspace(0, 1, n + 1)[1:]
    weight[stop - n : stop] = torch.linspace(1, 0, n + 1)[1:]
    return weight * new + (1 - weight) * original


@pytest.mark.parametrize("seconds", [0.0, 0.00003, 0.01, 0.025, 0.05])
def test_one_span_is_the_literal_formula(seconds):
    new, original = noise(20 * FRAME), noise(20 * FRAME, 1)
    got = splice(new, original, mask_of(20, (5, 12)), seconds)

    assert torch.allclose(got, literal_splice(new, original, 5 * FRAME, 12 * FRAME, seconds), atol=1e-6)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.floats(0, 0.2), st.integers(0, 5))
@settings(deadline=None)
def test_outside_of_any_mask_every_bit_is_the_originals(flags, seconds, seed):
    new, original = noise(len(flags) * FRAME, seed), noise(len(flags) * FRAME, seed + 100)
    mask = torch.tensor(flags)
    got = splice(new, original, mask.float(), seconds)

    kept = (~mask).repeat_interleave(FRAME)
    assert got.shape == new.shape
    assert torch.equal(got[..., kept], original[..., kept])
    low, high = torch.minimum(new, original) - 1e-6, torch.maximum(new, original) + 1e-6
    assert ((got >= low) & (got <= high)).all()


@given(st.lists(st.booleans(), min_size=1, max_size=12))
@settings(deadline=None)
def test_without_crossfade_every_sample_is_one_or_the_other(flags):
    new, original = noise(len(flags) * FRAME), noise(len(flags) * FRAME, 1)
    mask = torch.tensor(flags)

    expected = torch.where(mask.repeat_interleave(FRAME), new, original)
    assert torch.equal(splice(new, original, mask.float(), 0.0), expected)


def test_several_spans_are_spliced_each_for_itself():
    new, original = noise(30 * FRAME), noise(30 * FRAME, 1)
    got = splice(new, original, mask_of(30, (3, 8), (9, 14), (20, 25)), 0.01)

    once = original
    for span in ((3, 8), (9, 14), (20, 25)):
        once = splice(new, once, mask_of(30, span), 0.01)
    assert torch.equal(got, once)


@pytest.mark.parametrize(
    ("span", "whole"), [((0, 6), slice(0, 5 * FRAME)), ((14, 20), slice(15 * FRAME, 20 * FRAME))]
)
def test_a_span_at_the_songs_own_end_has_no_crossfade_there(span, whole):
    new, original = noise(20 * FRAME), noise(20 * FRAME, 1)
    got = splice(new, original, mask_of(20, span), 0.04)

    assert torch.equal(got[..., whole], new[..., whole])


def test_everything_masked_is_the_new_song_and_nothing_masked_the_original():
    new, original = noise(5 * FRAME), noise(5 * FRAME, 1)

    assert torch.equal(splice(new, original, torch.ones(5), 0.05), new)
    assert torch.equal(splice(new, original, torch.zeros(5), 0.05), original)


def test_crossfades_of_a_short_span_meet_in_its_middle_where_the_new_song_is_heard_alone():
    new, original = torch.ones(1, 2, 5 * FRAME), torch.zeros(1, 2, 5 * FRAME)
    weight = splice(new, original, mask_of(5, (2, 3)), 0.05)[0, 0, 2 * FRAME : 3 * FRAME]

    half = FRAME // 2
    assert torch.allclose(weight[:half], torch.linspace(0, 1, half + 1)[1:])
    assert torch.allclose(weight[half:], torch.linspace(1, 0, half + 1)[1:])
    assert weight[half - 1] == 1


def test_a_short_span_at_the_songs_end_gives_its_whole_length_to_its_one_crossfade():
    new, original = torch.ones(1, 2, 5 * FRAME), torch.zeros(1, 2, 5 * FRAME)
    weight = splice(new, original, mask_of(5, (4, 5)), 1.0)[0, 0, 4 * FRAME :]

    assert torch.allclose(weight, torch.linspace(0, 1, FRAME + 1)[1:])


def test_only_the_hard_mask_counts_as_the_model_sees_it():
    new, original = noise(6 * FRAME), noise(6 * FRAME, 1)
    soft = torch.tensor([0.0, 0.5, 0.51, 1.0, 0.3, 0.0])

    assert torch.equal(splice(new, original, soft, 0.01), splice(new, original, mask_of(6, (2, 4)), 0.01))


def test_extended_to_the_right_the_original_is_followed_by_the_new_song():
    original, new = noise(10 * FRAME + 700), noise(16 * FRAME, 1)
    got = splice(new, original, mask_of(16, (10, 16)), 0.05)

    assert torch.equal(got[..., : 10 * FRAME], original[..., : 10 * FRAME])
    assert torch.equal(got[..., 10 * FRAME + 700 :], new[..., 10 * FRAME + 700 :])
    ramp = torch.linspace(0, 1, 701)[1:]  # as long as the original goes on
    seam = slice(10 * FRAME, 10 * FRAME + 700)
    assert torch.allclose(got[..., seam], ramp * new[..., seam] + (1 - ramp) * original[..., seam], atol=1e-6)


def test_extended_to_the_left_the_original_begins_at_the_offset():
    original, new = noise(10 * FRAME), noise(16 * FRAME, 1)
    got = splice(new, original, mask_of(16, (0, 6)), 0.05, offset=6 / 25)

    assert torch.equal(got[..., : 6 * FRAME], new[..., : 6 * FRAME])
    assert torch.equal(got[..., 6 * FRAME :], original)


def test_the_end_ramp_uses_only_what_the_original_holds():
    original, new = noise(10 * FRAME), noise(16 * FRAME, 1)
    got = splice(
        new, original, mask_of(16, (0, 7)), 0.05, offset=6 / 25
    )  # one frame of the original is redone

    assert torch.equal(got[..., : 6 * FRAME], new[..., : 6 * FRAME])
    assert torch.equal(got[..., 7 * FRAME :], original[..., FRAME:])
    ramp, seam = torch.linspace(1, 0, FRAME + 1)[1:], slice(6 * FRAME, 7 * FRAME)
    assert torch.allclose(
        got[..., seam], ramp * new[..., seam] + (1 - ramp) * original[..., :FRAME], atol=1e-6
    )


def test_an_offset_below_zero_leaves_out_the_originals_head():
    new, original = noise(8 * FRAME), noise(12 * FRAME, 1)
    mask = mask_of(8, (3, 5))

    assert torch.equal(
        splice(new, original, mask, 0.01, offset=-4 / 25), splice(new, original[..., 4 * FRAME :], mask, 0.01)
    )


def test_where_a_short_original_has_no_sample_the_new_song_stands():
    new, original = noise(8 * FRAME), noise(5 * FRAME + 10, 1)
    got = splice(new, original, mask_of(8, (1, 2)), 0.0)

    assert torch.equal(got[..., 2 * FRAME : 5 * FRAME + 10], original[..., 2 * FRAME :])
    assert torch.equal(got[..., 5 * FRAME + 10 :], new[..., 5 * FRAME + 10 :])


def test_the_rest_of_a_last_kept_frame_is_not_lost():
    new, original = noise(8 * FRAME), noise(8 * FRAME + 1_919, 1)
    got = splice(new, original, mask_of(8, (1, 2)), 0.01)

    assert got.shape == original.shape
    assert torch.equal(got[..., 2 * FRAME :], original[..., 2 * FRAME :])


@pytest.mark.parametrize(("extra", "span"), [(1_919, (5, 8)), (1_920, (1, 2)), (100_000, (1, 2))])
def test_otherwise_the_song_is_as_long_as_the_new_one(extra, span):
    new, original = noise(8 * FRAME), noise(8 * FRAME + extra, 1)

    assert splice(new, original, mask_of(8, span), 0.01).shape == new.shape


def test_every_item_is_spliced_by_its_own_mask_and_original():
    new, originals = noise(6 * FRAME, 0, 2), noise(6 * FRAME, 1, 2)
    masks = torch.stack((mask_of(6, (1, 3)), mask_of(6, (4, 6))))
    got = splice(new, originals, masks, 0.01)

    for item in range(2):
        alone = splice(new[item : item + 1], originals[item : item + 1], masks[item], 0.01)
        assert torch.equal(got[item : item + 1], alone)


def test_one_original_and_one_mask_serve_a_whole_batch():
    new, original = noise(6 * FRAME, 0, 3), noise(6 * FRAME, 1)
    mask = mask_of(6, (1, 3))

    expected = splice(new, original.expand(3, -1, -1), mask.expand(3, -1), 0.01)
    assert torch.equal(splice(new, original, mask[None], 0.01), expected)


def test_neither_song_nor_mask_is_written_to():
    new, original, mask = noise(6 * FRAME), noise(6 * FRAME, 1), mask_of(6, (1, 3))
    before = new.clone(), original.clone(), mask.clone()
    splice(new, original, mask, 0.05)

    for now, then in zip((new, original, mask), before, strict=True):
        assert torch.equal(now, then)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(InvalidInputError, match=r"mask is for 0\.2 s, the new song has 0\.24 s"):
        splice(noise(6 * FRAME), noise(6 * FRAME), torch.zeros(5), 0.01)


@pytest.mark.parametrize("offset", [0.24, 100.0, -0.24, -100.0])
def test_an_original_outside_of_the_song_is_refused(offset):
    with pytest.raises(InvalidInputError, match="lies outside"):
        splice(noise(6 * FRAME), noise(6 * FRAME), torch.zeros(6), 0.01, offset)


@pytest.mark.parametrize("offset", [float("nan"), float("inf")])
def test_an_impossible_offset_is_refused(offset):
    with pytest.raises(InvalidInputError, match="offset"):
        splice(noise(6 * FRAME), noise(6 * FRAME), torch.zeros(6), 0.01, offset)


def test_counts_that_do_not_match_are_refused():
    with pytest.raises(InvalidInputError, match="3 new songs came with 2 originals and 1 masks"):
        splice(noise(FRAME, 0, 3), noise(FRAME, 0, 2), torch.zeros(1), 0.01)
    with pytest.raises(InvalidInputError, match="3 new songs came with 1 originals and 2 masks"):
        splice(noise(FRAME, 0, 3), noise(FRAME), torch.zeros(2, 1), 0.01)


def test_a_mono_original_is_refused():
    with pytest.raises(InvalidAudioError, match="2 channels and the original 1"):
        splice(noise(FRAME), noise(FRAME)[:, :1], torch.zeros(1), 0.01)


@pytest.mark.parametrize("broken", [0, 1])
def test_a_broken_or_empty_sound_is_refused(broken):
    for bad, message in (
        (torch.full((1, 2, FRAME), float("nan")), "NaN"),
        (torch.zeros(1, 2, 0), "no samples"),
    ):
        sounds = [noise(FRAME), noise(FRAME)]
        sounds[broken] = bad
        with pytest.raises(InvalidAudioError, match=message):
            splice(*sounds, torch.zeros(1), 0.01)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_an_impossible_crossfade_is_refused(seconds):
    with pytest.raises(InvalidInputError, match="A crossfade of"):
        splice(noise(FRAME), noise(FRAME), torch.zeros(1), seconds)
