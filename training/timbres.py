"""The sounds behind the channels, computed from sines and noise: bells, guitar, voice, keys, bass and drums."""

import numpy as np
from numpy.typing import NDArray

from . import layout

Sound = NDArray[np.float64]

RATE = 48_000
SECONDS = 0.32  # the longest sound that the codec can hold
CEILING = 5_800.0  # Hz; the codec knows nothing above 6 kHz
VOWEL = (
    (700.0, 110.0, 1.0),
    (1150.0, 120.0, 0.6),
    (2700.0, 200.0, 0.25),
)  # formants of an "ah": place, width, weight


def sounds() -> NDArray[np.float32]:
    """One strike of every channel: [64, samples]."""
    notes = [
        *(bell(hertz(84 + pitch)) for pitch in range(layout.PITCHES)),
        *(guitar(hertz(72 + pitch)) for pitch in range(layout.PITCHES)),
        *(voice(hertz(72 + pitch)) for pitch in range(layout.PITCHES)),
        *(keys(hertz(55 + (pitch - 7) % 12)) for pitch in range(layout.PITCHES)),
        *(bass(hertz(40 + (pitch - 4) % 12)) for pitch in range(layout.PITCHES)),
    ]
    return np.stack([*notes, *drums()]).astype(np.float32)


def hertz(midi: int) -> float:
    """The frequency of a note; 69 is A4."""
    return 440 * 2 ** ((midi - 69) / 12)


def moments() -> Sound:
    """The time of every sample."""
    return np.arange(round(RATE * SECONDS)) / RATE


def shaped(wave: Sound, level: float, attack: float = 0.003, release: float = 0.04) -> Sound:
    """A wave that starts and ends without a click, at a peak of `level`."""
    t = moments()
    wave = wave * np.clip(t / attack, 0, 1) * np.clip((SECONDS - t) / release, 0, 1)
    return wave * (level / np.abs(wave).max())


def partials(frequency: float, ratios: list[float], gains: list[float], decays: list[float]) -> Sound:
    """Decaying sines over a fundamental; those above the codec's ceiling are left out."""
    t, wave = moments(), np.zeros_like(moments())
    for number, (ratio, gain, decay) in enumerate(zip(ratios, gains, decays, strict=True)):
        if ratio * frequency < CEILING:
            wave += gain * np.exp(-decay * t) * np.sin(2 * np.pi * ratio * frequency * t + number)
    return wave


def bell(frequency: float) -> Sound:
    """A struck metal bar: few partials, none of them harmonic."""
    return shaped(partials(frequency, [1, 2.76, 5.4], [1, 0.5, 0.25], [5, 14, 30]), 0.17, attack=0.001)


def guitar(frequency: float) -> Sound:
    """A plucked string: many harmonics, the high ones gone soon."""
    order = range(1, 11)
    gains = [abs(np.sin(np.pi * k * 0.22)) / k for k in order]
    return shaped(partials(frequency, list(order), gains, [3.0 + 2.5 * k for k in order]), 0.26, attack=0.002)


def voice(frequency: float) -> Sound:
    """A sung "ah": harmonics under the formants of a vowel, swelling instead of struck."""
    order = list(range(1, int(CEILING // frequency) + 1))
    gains = [
        sum(weight / (1 + ((k * frequency - place) / width) ** 2) for place, width, weight in VOWEL) + 0.02
        for k in order
    ]
    return shaped(partials(frequency, order, gains, [1.5] * len(order)), 0.2, attack=0.03, release=0.1)


def keys(frequency: float) -> Sound:
    """Mellow keys: a fundamental with little above it."""
    return shaped(partials(frequency, [1, 2, 3, 4], [1, 0.35, 0.12, 0.05], [4, 6, 9, 12]), 0.11, attack=0.008)


def bass(frequency: float) -> Sound:
    """A picked bass string."""
    order = range(1, 9)
    return shaped(
        partials(frequency, list(order), [1 / k**1.4 for k in order], [2.0 + 1.5 * k for k in order]), 0.3
    )


def drums() -> list[Sound]:
    """Kick, snare, hat and crash."""
    t = moments()
    noise = np.random.default_rng(5).standard_normal(len(t))
    drop = 2 * np.pi * (50 * t + 90 * (1 - np.exp(-30 * t)) / 30)
    rattle = band(noise, 300, 5000) * np.exp(-22 * t) + 0.5 * np.sin(2 * np.pi * 190 * t) * np.exp(-25 * t)
    return [
        shaped(np.sin(drop) * np.exp(-9 * t), 0.6),
        shaped(rattle, 0.3, attack=0.001),
        shaped(band(noise, 3000, 5600) * np.exp(-60 * t), 0.12, attack=0.001),
        shaped(band(noise, 1500, 5700) * np.exp(-7 * t), 0.16, attack=0.001),
    ]


def band(noise: Sound, low: float, high: float) -> Sound:
    """The noise between two frequencies, at unit strength."""
    spectrum, frequencies = np.fft.rfft(noise), np.fft.rfftfreq(len(noise), 1 / RATE)
    kept = np.fft.irfft(spectrum * ((frequencies > low) & (frequencies < high)), len(noise))
    return kept / kept.std()
