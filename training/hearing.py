"""Ears of NumPy: tempo, key, instruments, chroma and clicks of a sound, without the networks that made it.

Every sound here is mono [samples] at 48 kHz.
"""

import numpy as np
from numpy.typing import NDArray

from . import timbres
from .composer import CHORDS, MODES, PROGRESSIONS
from .layout import PITCHES

Array = NDArray[np.float64]

RATE = timbres.RATE
FLUX_HOP, FLUX_WINDOW = 240, 1024  # of onsets: 200 looks per second
TONE_HOP, TONE_WINDOW = 2400, 8192  # of pitches
LOUD = 30.0  # how strongly the logarithm lifts quiet sounds
SEARCH = 0.12  # how far from the expected tempo a beat is looked for, as a share
MULTIPLES = 8  # of a beat's length at which a steady sound must be like itself
TONES = (60.0, 2000.0)  # Hz
SILENT_ABOVE = 8000.0  # Hz; the model makes nothing up there, but a click does
ROUNDS = 60  # of the multiplicative updates that explain a spectrum by known sounds


def spectra(sound: Array, window: int, hop: int) -> Array:
    """Magnitudes [looks, window / 2 + 1], each look centred at a multiple of `hop`."""
    padded = np.pad(sound, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(window)))


def onsets(sound: Array, below: float = RATE) -> Array:
    """How much gets louder below a frequency, 200 times a second, around its mean."""
    heard = np.fft.rfftfreq(FLUX_WINDOW, 1 / RATE) < below
    rise = np.diff(np.log1p(LOUD * spectra(sound, FLUX_WINDOW, FLUX_HOP)[:, heard]), axis=0)
    strength = np.maximum(rise, 0).sum(1)
    return strength - strength.mean()


def likeness(strength: Array) -> Array:
    """How like itself a curve is after every delay, per remaining length."""
    count = len(strength)
    power = np.abs(np.fft.rfft(strength, 2 * count)) ** 2
    return np.fft.irfft(power)[:count] / np.arange(count, 0, -1)


def tempo_near(sound: Array, expected: float) -> float:
    """The steadiest beats per minute within 12 percent of what is expected."""
    curve = likeness(onsets(sound))
    tempos = np.arange(expected * (1 - SEARCH), expected * (1 + SEARCH), 0.1)
    scores = []
    for tempo in tempos:
        delays = np.arange(1, MULTIPLES + 1) * 60 / tempo * RATE / FLUX_HOP
        delays = delays[delays < 0.8 * len(curve)]
        scores.append(np.interp(delays, np.arange(len(curve)), curve).mean())
    return float(tempos[np.argmax(scores)])


def steadiness(sound: Array, tempo: float) -> float:
    """How like itself the sound is one to eight beats later, as a share of its likeness to itself at once."""
    curve = likeness(onsets(sound))
    delays = np.arange(1, MULTIPLES + 1) * 60 / tempo * RATE / FLUX_HOP
    return float(np.interp(delays[delays < 0.8 * len(curve)], np.arange(len(curve)), curve).mean() / curve[0])


def chroma(sound: Array, window: int = TONE_WINDOW, hop: int = TONE_HOP) -> Array:
    """Strength of the twelve pitch classes over time: [looks, 12]."""
    magnitudes = spectra(sound, window, hop)
    frequencies = np.fft.rfftfreq(window, 1 / RATE)
    heard = (frequencies > TONES[0]) & (frequencies < TONES[1])
    classes = np.round(69 + 12 * np.log2(frequencies[heard] / 440)).astype(int) % PITCHES
    return np.stack([magnitudes[:, heard][:, classes == pitch].sum(1) for pitch in range(PITCHES)], 1)


def key_profile(mode: str) -> Array:
    """How much each pitch class over C sounds in the progressions of a mode; the bass note counts twice."""
    profile = np.zeros(PITCHES)
    for part, weight in zip(PROGRESSIONS[mode], (3, 1), strict=True):
        for name in part:
            profile[list(CHORDS[name])] += weight
            profile[CHORDS[name][0]] += weight
    return profile


def keys_by_likelihood(sound: Array) -> list[tuple[int, str]]:
    """All 24 keys as (root, mode), the likeliest first."""
    heard = chroma(sound, window=16_384).sum(0)
    scores = {
        (root, mode): np.corrcoef(heard, np.roll(key_profile(mode), root))[0, 1]
        for root in range(PITCHES)
        for mode in MODES
    }
    return sorted(scores, key=scores.__getitem__, reverse=True)


def chroma_likeness(first: Array, second: Array, seconds: float = 0.4) -> float:
    """Correlation of two sounds' chroma in steps of so many seconds, without what is common to all steps."""
    step = round(seconds * RATE / TONE_HOP)

    def steps(sound: Array) -> Array:
        strength = chroma(sound)
        whole = strength[: len(strength) // step * step].reshape(-1, step, PITCHES).mean(1)
        whole = whole / (np.linalg.norm(whole, axis=1, keepdims=True) + 1e-9)
        return whole - whole.mean(0)

    one, other = steps(first), steps(second)
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count].ravel(), other[:count].ravel())[0, 1])


def parts(sound: Array) -> Array:
    """How strongly each of the 64 known sounds is heard, when they alone are to explain the average spectrum."""
    window = TONE_WINDOW
    known = np.stack(
        [np.square(spectra(one, window, TONE_HOP)).sum(0) for one in timbres.sounds().astype(float)]
    )
    wanted = np.square(spectra(sound, window, TONE_HOP)).sum(0)
    scale = known.sum(1, keepdims=True)
    known = np.sqrt(known / scale)  # square roots, so that quiet partials count as well
    wanted = np.sqrt(wanted)
    weights = np.full(len(known), wanted.mean())
    for _ in range(ROUNDS):
        weights *= (known @ wanted) / (known @ (weights @ known) + 1e-12)
    return weights


def loudness(sound: Array) -> float:
    """Level in dBFS."""
    return float(20 * np.log10(np.sqrt(np.square(sound).mean()) + 1e-9))


def click(sound: Array, moment: int, reach: int = 480) -> float:
    """Level in dBFS of what lies above 8 kHz within 10 ms of a sample; a clean joint has nothing there."""
    around = sound[max(0, moment - reach) : moment + reach]
    spectrum = np.fft.rfft(around * np.hanning(len(around)))
    high = spectrum[np.fft.rfftfreq(len(around), 1 / RATE) > SILENT_ABOVE]
    return float(20 * np.log10(np.sqrt(2 * np.square(np.abs(high)).sum()) / len(around) + 1e-9))
