import math

import pyloudnorm
import pytest
import torch
from torch import Tensor

from acestep_core.sound import loudness
from acestep_core.sound.loudness import integrated_lufs, true_peak
from support.reference.ebur128 import ebur128

SECONDS = 4


def times(rate: int, seconds: float = SECONDS) -> Tensor:
    return torch.arange(round(rate * seconds)) / rate


def noise(rate: int, channels: int = 2, seconds: float = SECONDS) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return 0.1 * torch.randn(channels, round(rate * seconds), generator=generator)


def tones_and_kicks(rate: int) -> Tensor:
    t = times(rate)
    kicks = 0.5 * torch.sin(2 * math.pi * 60 * t) * torch.exp(-20 * (t % 0.5))
    return torch.stack(
        [0.2 * torch.sin(2 * math.pi * 220 * t) + kicks, 0.2 * torch.sin(2 * math.pi * 330 * t)]
    )


def sine(rate: int) -> Tensor:
    rise = (20 * times(rate)).clamp_max(1)  # an edge at full height is heard differently by every meter
    return (0.5 * rise * torch.sin(2 * math.pi * 12_000 * times(rate) + 0.7)).repeat(2, 1)


def noise_with_a_gap(rate: int) -> Tensor:
    return noise(rate) * ((times(rate) < 1.2) | (times(rate) > 2.6))


SIGNALS = {
    "noise": noise,
    "tones and kicks": tones_and_kicks,
    "12 kHz": sine,
    "noise with a gap": noise_with_a_gap,
    "mono": lambda rate: noise(rate, 1),
    "quiet": lambda rate: 0.01 * noise(rate),
}


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("signal", SIGNALS)
def test_it_is_what_ffmpeg_and_pyloudnorm_measure(signal, rate):
    sound = SIGNALS[signal](rate)
    ours, theirs = integrated_lufs(sound, rate), ebur128(sound, rate)
    others = pyloudnorm.Meter(rate).integrated_loudness(sound.T.double().numpy())

    assert abs(ours - theirs.integrated) < 0.011  # their last digit is a hundredth
    assert abs(ours - others) < 0.05
    assert true_peak(sound, rate) == pytest.approx(theirs.true_peak, rel=0.03, abs=5e-4)


def test_surround_counts_the_back_more_and_the_bass_channel_not_at_all():
    sound = noise(48_000, 6)

    assert abs(integrated_lufs(sound, 48_000) - ebur128(sound, 48_000).integrated) < 0.011


def test_the_standard_tone_has_the_standard_loudness():
    tone = torch.zeros(2, 48_000 * 3)
    tone[0] = torch.sin(2 * math.pi * 997 * times(48_000, 3))

    assert integrated_lufs(tone, 48_000) == pytest.approx(-3.01, abs=0.005)


def test_silence_has_none_and_a_moment_is_too_short():
    assert integrated_lufs(torch.zeros(2, 48_000), 48_000) == -math.inf
    assert integrated_lufs(noise(48_000, seconds=0.399), 48_000) is None
    assert integrated_lufs(noise(48_000, seconds=0.4), 48_000) is not None
    assert integrated_lufs(torch.zeros(2, 0), 48_000) is None


def test_what_came_before_the_song_does_not_matter_and_neither_does_silence_after_it():
    sound = noise(48_000)
    longer = torch.nn.functional.pad(sound, (0, 10 * 48_000))

    assert integrated_lufs(longer, 48_000) == pytest.approx(integrated_lufs(sound, 48_000), abs=0.2)


def test_pieces_are_not_heard(monkeypatch):
    sound = torch.cat([tones_and_kicks(48_000), noise(48_000), 3 * tones_and_kicks(48_000)], -1)
    whole = integrated_lufs(sound, 48_000), true_peak(sound, 48_000)
    monkeypatch.setattr(loudness, "PIECE", 1)

    assert integrated_lufs(sound, 48_000) == pytest.approx(whole[0], abs=1e-4)
    assert true_peak(sound, 48_000) == pytest.approx(whole[1], rel=1e-6)


def test_a_peak_between_two_samples_is_found():
    quarter = torch.sin(2 * math.pi * 12_000 * times(48_000) + math.pi / 4)  # every sample is at 0.7071

    assert float(quarter.abs().max()) < 0.74
    assert true_peak((quarter * torch.hann_window(len(quarter)))[None], 48_000) == pytest.approx(
        1.0, abs=0.01
    )


def test_the_last_sample_is_seen():
    sound = torch.zeros(1, 48_000)
    sound[0, -1] = 0.5

    assert true_peak(sound, 48_000) >= 0.5


def test_half_precision_is_measured_as_what_it_is():
    sound = noise(48_000).half()

    assert integrated_lufs(sound, 48_000) == pytest.approx(integrated_lufs(sound.float(), 48_000), abs=1e-4)
