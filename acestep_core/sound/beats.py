"""The tempo of a recording, where it has a clear one: how its spectrum grows, compared with itself some time later."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .levels import require_sound
from .resample import resample

RATE, HOP, WINDOW = 24_000, 240, 1_024  # Hz, samples, samples
STEPS = RATE // HOP  # of the flux, per second
SLOWEST, FASTEST, USUAL = 60.0, 200.0, 120.0  # beats per minute
PIECE = 30  # seconds that are looked at together, so that the memory does not grow with the song
SHORTEST = 4  # seconds, in which four beats of any tempo lie
AVERAGE = 51  # steps, half a second: what is no more than usual there is no beat
CLEAR = 0.2  # of the flux's own power, from which on a repetition counts as a beat
AS_GOOD = 0.8  # of the best repetition, from which on one twice as fast is the beat
FAR = (2, 4, 8, 16)  # beats, over which an error of a step matters ever less


class Tempo(NamedTuple):
    """Beats per minute, and the second of the first beat."""

    bpm: float
    phase: float


def tempo_of(samples: Tensor, sample_rate: int) -> Tempo | None:
    """Of [C, S]; None when no tempo stands out, or the recording is too short for one."""
    require_sound(samples, "The song")
    if samples.shape[-1] < SHORTEST * sample_rate:
        return None
    rises = flux(samples, sample_rate)
    power = rises.square().sum()
    if power <= 0:
        return None
    again = repetition(rises) / power
    first, last = math.floor(60 * STEPS / FASTEST), math.ceil(60 * STEPS / SLOWEST)
    lags = torch.arange(first, last + 1)
    usual = torch.exp(-0.5 * torch.log2(60 * STEPS / lags / USUAL).square())
    lag = float(lags[(again[lags] * usual).argmax()])
    while lag / 2 >= first and near(again, lag / 2)[1] >= AS_GOOD * near(again, lag)[1]:
        lag /= 2
    if near(again, lag)[1] < CLEAR:
        return None
    lag = near(again, lag)[0]
    for beats in FAR:
        if (beats * lag + 2) < len(again) / 2:
            lag = near(again, beats * lag)[0] / beats
    return Tempo(60 * STEPS / lag, first_beat(rises, lag))


def flux(samples: Tensor, sample_rate: int) -> Tensor:
    """[steps]: how much louder the spectrum becomes with each step, above what is usual around it."""
    pieces = samples.detach().split(PIECE * sample_rate, -1)
    parts = [
        spectrum(resample(piece.to("cpu", torch.float32).mean(0), sample_rate, RATE)) for piece in pieces
    ]
    frames = torch.cat(parts)
    rises = (frames[1:] - frames[:-1]).clamp_min(0).sum(1)
    usual = torch.nn.functional.avg_pool1d(rises[None], AVERAGE, 1, AVERAGE // 2, count_include_pad=False)[0]
    return (rises - usual).clamp_min(0)


def spectrum(sound: Tensor) -> Tensor:
    """[steps, bins] of [S]: magnitudes on a scale on which quiet sounds count as well."""
    if len(sound) <= WINDOW:
        return torch.zeros(0, WINDOW // 2 + 1)
    bins = torch.stft(sound, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True)
    return torch.log1p(bins.abs()).T[: len(sound) // HOP]


def repetition(rises: Tensor) -> Tensor:
    """How alike the flux and itself so many steps later are, each lag as if it had as many steps."""
    size = 2 * len(rises)
    power = torch.fft.rfft(rises.double() - rises.double().mean(), size).abs().square()
    alike = torch.fft.irfft(power, size)[: len(rises)]
    return alike * len(rises) / torch.arange(len(rises), 0, -1)


def near(again: Tensor, lag: float) -> tuple[float, float]:
    """The highest repetition within two steps of a lag: its lag, between the steps as well, and its height."""
    middle = round(lag)
    around = range(max(1, middle - 2), min(len(again) - 1, middle + 3))
    best = max(around, key=lambda step: float(again[step]))
    left, top, right = again[best - 1 : best + 2].tolist()
    bend = left - 2 * top + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return best + max(-0.5, min(0.5, shift)), top


def first_beat(rises: Tensor, lag: float) -> float:
    """The second within the first beat's length on which the steps of that distance rise most."""
    count = int(len(rises) / lag) - 1
    starts = torch.arange(math.ceil(lag))[:, None]
    places = (starts + (torch.arange(count) * lag)[None]).round().long().clamp_max(len(rises) - 1)
    return float((rises[places].sum(1).argmax() + 1) / STEPS)
