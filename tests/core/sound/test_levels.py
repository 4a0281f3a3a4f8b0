import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acestep_core.errors import InvalidAudioError, InvalidInputError
from acestep_core.sound.levels import COMFYUI, FULL_SCALE, LEVELS, NONE, PEAK, fade, peak_of

ALL = pytest.mark.parametrize("level", [*LEVELS.values(), FULL_SCALE], ids=lambda level: level.name)


def songs(seed: int = 0, loudness: tuple[float, ...] = (0.1, 1.0, 3.0)) -> torch.Tensor:
    noise = torch.randn(len(loudness), 2, 400, generator=torch.Generator().manual_seed(seed))
    return noise * torch.tensor(loudness)[:, None, None]


def official_level(song: torch.Tensor) -> torch.Tensor:
    """Both steps of spec 7.3, one after the other."""
    peak = song.abs().max()
    if peak > 1:
        song = song / peak
    peak = song.abs().max()
    return song if peak < 1e-6 else song * (10 ** (-1.0 / 20) / peak)


def test_the_choices_are_named_as_on_the_node():
    assert list(LEVELS) == ["peak -1 dBFS", "none", "ComfyUI", "-14 LUFS", "-16 LUFS", "-23 LUFS"]


@ALL
def test_an_item_alone_is_the_item_in_a_batch(level):
    batch = songs()

    assert torch.equal(level.leveled(batch).samples[1:2], level.leveled(batch[1:2]).samples)


@ALL
def test_what_came_in_is_not_written_to(level):
    batch = songs()
    before = batch.clone()
    level.leveled(batch)

    assert torch.equal(batch, before)


@ALL
def test_zeros_stay_zeros(level):
    assert torch.equal(level.leveled(torch.zeros(2, 2, 10)).samples, torch.zeros(2, 2, 10))


@given(st.floats(1e-5, 1e3), st.integers(0, 100))
def test_peak_equals_both_official_steps(loudness, seed):
    song = songs(seed, (loudness,))

    assert torch.allclose(PEAK.apply(song)[0], official_level(song[0]), rtol=1e-5)


def test_peak_brings_every_item_to_minus_one_decibel_quiet_ones_too():
    assert torch.allclose(peak_of(PEAK.apply(songs())).flatten(), torch.full((3,), 0.8912509))


def test_peak_leaves_an_item_below_a_millionth_alone():
    faint = torch.full((1, 2, 10), 9e-7)

    assert torch.equal(PEAK.apply(faint), faint)


def test_none_changes_no_bit():
    assert torch.equal(NONE.apply(songs()), songs())


def test_full_scale_divides_only_what_exceeds_it():
    batch = songs(loudness=(0.1, 3.0))
    got = FULL_SCALE.apply(batch)

    assert torch.equal(got[0], batch[0])
    assert peak_of(got)[1] == pytest.approx(1)


def test_comfyui_divides_by_five_deviations_when_they_exceed_one():
    batch = songs()
    deviations = torch.std(batch, dim=[1, 2], keepdim=True) * 5.0
    deviations[deviations < 1.0] = 1.0

    assert torch.allclose(COMFYUI.apply(batch), batch / deviations)
    assert torch.equal(COMFYUI.apply(batch)[0], batch[0])


def test_comfyui_takes_a_song_of_one_sample():
    assert torch.equal(COMFYUI.apply(torch.full((1, 1, 1), 0.5)), torch.full((1, 1, 1), 0.5))


@ALL
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_samples_are_counted_and_refused(level, value):
    song = songs()
    song[1, 0, 7] = value
    with pytest.raises(InvalidAudioError, match="1 sample"):
        level.leveled(song)


@ALL
def test_an_empty_song_is_refused(level):
    with pytest.raises(InvalidAudioError, match="no samples"):
        level.leveled(torch.zeros(1, 2, 0))


def test_fades_are_the_official_ramps_at_the_ends_and_nothing_between():
    song = songs()
    got = fade(song, 0.1, 0.2, sample_rate=500)

    assert torch.equal(got[..., :50], song[..., :50] * torch.linspace(0, 1, 50))
    assert torch.equal(got[..., 50:300], song[..., 50:300])
    assert torch.equal(got[..., 300:], song[..., 300:] * torch.linspace(1, 0, 100))
    assert torch.equal(song, songs())


def test_no_fade_changes_nothing():
    assert torch.equal(fade(songs(), 0.0, 0.0), songs())


def test_a_fade_longer_than_the_song_spans_the_song():
    song = torch.ones(1, 2, 100)

    assert torch.equal(fade(song, 5.0, 0.0)[0, 0], torch.linspace(0, 1, 100))
    assert torch.equal(fade(song, 0.0, 5.0)[0, 0], torch.linspace(1, 0, 100))


def test_fades_that_overlap_multiply():
    got = fade(torch.ones(1, 1, 100), 1.0, 1.0, sample_rate=100)[0, 0]

    assert torch.equal(got, torch.linspace(0, 1, 100) * torch.linspace(1, 0, 100))


def test_a_second_is_48000_samples_unless_said_otherwise():
    assert (fade(torch.ones(1, 1, 50_000), 1.0, 0.0)[0, 0] < 1).sum() == 47_999


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf")])
def test_an_impossible_fade_is_refused(seconds):
    with pytest.raises(InvalidInputError, match="A fade of"):
        fade(songs(), seconds, 0.0)
    with pytest.raises(InvalidInputError, match="A fade of"):
        fade(songs(), 0.0, seconds)
