"""Tempo of click tracks, and of sounds that have none."""

import math

import pytest
import torch

from acestep_core.errors import InvalidAudioError
from acestep_core.sound.beats import RATE, tempo_of


def clicks(bpm, seconds=20.0, phase=0.3, rate=RATE, accent=1.0, noise=0.0):
    """Short bursts of noise on each beat; every other one as loud as `accent`."""
    generator = torch.Generator().manual_seed(1)
    sound = noise * torch.randn(int(seconds * rate), generator=generator)
    burst = torch.randn(rate // 50, generator=generator) * torch.linspace(1, 0, rate // 50)
    place, beat = phase, 0
    while place < seconds - 0.05:
        start = round(place * rate)
        sound[start : start + len(burst)] += burst * (0.5 if beat % 2 == 0 else 0.5 * accent)
        place, beat = place + 60 / bpm, beat + 1
    return sound[None]


@pytest.mark.parametrize("bpm", [70, 83.3, 95, 100, 120, 127.4, 140, 160, 174, 180])
def test_the_tempo_of_clicks_is_found(bpm):
    found = tempo_of(clicks(bpm), RATE)
    assert found is not None
    assert found.bpm == pytest.approx(bpm, abs=0.5)


@pytest.mark.parametrize("bpm", [83.3, 127.4, 174])
def test_a_longer_recording_makes_it_exact(bpm):
    """So that the last beat of three minutes is still within a frame or two of where it is heard."""
    assert tempo_of(clicks(bpm, seconds=30), RATE).bpm == pytest.approx(bpm, abs=0.03)


@pytest.mark.parametrize(("bpm", "phase"), [(120, 0.0), (120, 0.2), (90, 0.55), (150, 0.1)])
def test_the_first_beat_is_where_the_first_click_is(bpm, phase):
    found = tempo_of(clicks(bpm, phase=phase), RATE)
    apart = abs(found.phase - phase) % (60 / bpm)
    assert min(apart, 60 / bpm - apart) < 0.03


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_the_rate_and_the_number_of_channels_do_not_matter(rate):
    sound = clicks(110, rate=rate)
    found = tempo_of(torch.cat((sound, 0.3 * sound)), rate)
    assert found.bpm == pytest.approx(110, abs=0.5)


def test_quiet_noise_and_soft_beats_in_between_do_not_hide_it():
    assert tempo_of(clicks(100, accent=0.4, noise=0.003), RATE).bpm == pytest.approx(100, abs=0.5)


def test_long_songs_are_looked_at_in_pieces():
    assert tempo_of(clicks(132, seconds=70), RATE).bpm == pytest.approx(132, abs=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_tempo(seed):
    sound = torch.randn(1, 30 * RATE, generator=torch.Generator().manual_seed(seed))
    assert tempo_of(0.3 * sound, RATE) is None


def test_what_does_not_beat_has_no_tempo():
    time = torch.arange(20 * RATE) / RATE
    assert tempo_of(torch.sin(2 * math.pi * 440 * time)[None], RATE) is None
    assert tempo_of(torch.zeros(2, 20 * RATE), RATE) is None
    assert tempo_of(clicks(120, seconds=3), RATE) is None
    assert tempo_of(torch.ones(1, 5), RATE) is None


def test_irregular_clicks_have_no_tempo():
    generator = torch.Generator().manual_seed(3)
    sound = torch.zeros(1, 30 * RATE)
    for start in torch.randint(0, 29 * RATE, (50,), generator=generator).tolist():
        sound[0, start : start + 480] += torch.randn(480, generator=generator)
    assert tempo_of(sound, RATE) is None


def test_nothing_is_refused_as_everywhere():
    with pytest.raises(InvalidAudioError):
        tempo_of(torch.zeros(1, 0), RATE)
