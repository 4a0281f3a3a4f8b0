import math

import pytest
import torch
from torch import Tensor

from acestep_core.sound import limiter
from acestep_core.sound.levels import LEVELS, LOSSY_CEILING, LoudnessLevel
from acestep_core.sound.limiter import HOLD, largest_within, limited
from acestep_core.sound.loudness import PIECE, integrated_lufs, true_peak
from support.reference.ebur128 import ebur128

RATE = 48_000
CEILING = 10 ** (-1 / 20)


def song(seed: int, rate: int = RATE, seconds: float = 3) -> Tensor:
    """Something with drums: noise, and hits of any height, up to 20 kHz as recordings have it."""
    generator = torch.Generator().manual_seed(seed)
    samples = round(rate * seconds)
    sound = torch.randn(2, samples, generator=generator) * (0.02 + 0.1 * torch.rand(1, generator=generator))
    for place in torch.randint(0, samples, (12,), generator=generator).tolist():
        hit = torch.randn(2, min(2000, samples - place), generator=generator)
        sound[:, place : place + hit.shape[-1]] += hit * torch.exp(-torch.arange(hit.shape[-1]) / 300)
    spectrum = torch.fft.rfft(sound)
    spectrum[:, int(20_000 / rate * samples) :] = 0
    return torch.fft.irfft(spectrum, n=samples)


@pytest.mark.parametrize("seed", range(100))
def test_no_true_peak_is_above_the_ceiling(seed):
    loud = limited(3 * song(seed, seconds=1), RATE, CEILING)

    assert loud.reduction > 0
    assert true_peak(loud.samples, RATE) <= CEILING
    assert ebur128(loud.samples, RATE).true_peak <= CEILING


@pytest.mark.parametrize("place", [0, 1, 100, -1, -2])
def test_ends_are_no_way_out(place):
    sound = torch.zeros(1, 20_000)
    sound[0, place] = 4.0

    assert true_peak(limited(sound, RATE, CEILING).samples, RATE) <= CEILING


def test_what_is_under_the_ceiling_is_the_very_same():
    sound = 0.1 * song(0)

    assert limited(sound, RATE, CEILING).samples is sound
    assert limited(sound, RATE, CEILING).reduction == 0


def test_far_from_a_peak_nothing_changes_and_near_it_the_gain_moves_slowly():
    sound = torch.full((1, 40_000), 0.25)
    sound[0, 20_000] = 2.0
    gain = limited(sound, RATE, CEILING).samples[0] / sound[0]
    reach = round(2 * HOLD * RATE) + 2

    assert torch.equal(gain[: 20_000 - reach], torch.ones(20_000 - reach))
    assert torch.equal(gain[20_000 + reach :], torch.ones(40_000 - 20_000 - reach))
    assert float(gain.diff().abs().max()) < 0.01
    assert torch.allclose(gain[1:20_000], gain[20_001:].flip(0), atol=0.01)


def test_both_channels_move_together():
    sound = song(1)
    gain = limited(3 * sound, RATE, CEILING).samples / (3 * sound)

    assert torch.allclose(gain[0], gain[1], atol=1e-4)


def test_pieces_are_not_heard(monkeypatch):
    sound = 3 * song(2)
    whole = limited(sound, RATE, CEILING).samples
    monkeypatch.setattr(limiter, "PIECE", 1)

    assert torch.allclose(limited(sound, RATE, CEILING).samples, whole, atol=1e-6)
    assert PIECE > 3


def test_what_came_in_is_not_written_to():
    sound = 3 * song(3)
    before = sound.clone()
    limited(sound, RATE, CEILING)

    assert torch.equal(sound, before)


def test_the_largest_of_neighbours():
    values = torch.rand(50, generator=torch.Generator().manual_seed(0))

    for reach in (0, 1, 2, 3, 7):
        wanted = torch.stack([values[i : i + 2 * reach + 1].max() for i in range(50 - 2 * reach)])
        assert torch.equal(largest_within(values, reach), wanted)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("name", ["-14 LUFS", "-16 LUFS", "-23 LUFS"])
def test_songs_reach_their_loudness_below_the_ceiling(name, rate):
    songs = torch.stack([song(4, rate), 0.01 * song(5, rate)])
    done = LEVELS[name].leveled(songs, rate)

    for loud, note in zip(done.samples, done.notes, strict=True):
        heard = ebur128(loud, rate)
        assert heard.true_peak <= CEILING
        assert abs(heard.integrated - float(name.split()[0])) <= 0.1 or "more would be heard" in note


def test_a_song_alone_is_the_song_in_a_batch():
    songs, rule = torch.stack([song(4), song(5), torch.zeros(2, 3 * RATE)]), LEVELS["-14 LUFS"]

    assert torch.equal(rule.leveled(songs, RATE).samples[1:2], rule.leveled(songs[1:2], RATE).samples)


def test_the_gain_is_linear_where_nothing_is_over():
    quiet = 0.2 * torch.randn(1, 2, 3 * RATE, generator=torch.Generator().manual_seed(0))
    done = LEVELS["-23 LUFS"].leveled(quiet, RATE)
    gain = done.samples / quiet

    assert torch.allclose(gain, gain[0, 0, 0], rtol=1e-4)
    assert done.notes == ("Song 1: -23.0 LUFS, peaks below -1 dBTP.",)


def test_more_than_six_decibels_are_not_taken_and_that_is_said():
    hits = song(6)
    hits[:, ::RATE] += 20
    (loud,), (note,) = LoudnessLevel("loud", -9).leveled(hits[None], RATE)
    taken = float(note.split("; ")[1].split()[0])

    assert taken == pytest.approx(6.2, abs=0.3)
    assert note.endswith("dB of peaks were limited, more would be heard.")
    assert integrated_lufs(loud, RATE) < -9.1
    assert true_peak(loud, RATE) <= CEILING


def test_lossy_formats_keep_more_room():
    (loud,), (note,) = LEVELS["-14 LUFS"].leveled(song(7)[None], RATE, LOSSY_CEILING)

    assert 20 * math.log10(true_peak(loud, RATE)) <= -1.5
    assert "below -1.5 dBTP" in note


@pytest.mark.parametrize(("samples", "why"), [(3 * RATE, "is silent"), (RATE // 3, "is shorter than 0.4 s")])
def test_what_has_no_loudness_stays_and_it_is_said(samples, why):
    nothing = torch.zeros(1, 2, samples)
    done = LEVELS["-14 LUFS"].leveled(nothing, RATE)

    assert torch.equal(done.samples, nothing)
    assert why in done.notes[0]
