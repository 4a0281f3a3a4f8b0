"""Change of sample rate by a polyphase windowed sinc, on any device.

In parts of the lower Nyquist frequency: flat within 0.01 dB up to 0.91, at least 100 dB down from 1.0 on. The phase
is linear and without delay, constants are kept, and the sound is zero beyond its ends.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidAudioError

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000  # Hz; beyond them a header is broken rather than unusual
PASS_BAND = 0.91  # both as parts of the lower Nyquist frequency; 20 kHz at 44.1 kHz
STOP_BAND = 1.0
ZERO_CROSSINGS = 80  # reach of the sinc on each side, in samples of the lower rate
KAISER_BETA = 11.3  # with this reach and transition: 111 dB
OUTPUTS_TOGETHER = 64  # output samples that share one window of input in a matrix product
WINDOW_VALUES = 2**22  # input values laid out as windows at a time


def resample(x: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """x: [..., S] floating point -> [..., ceil(S * target / source)]; at equal rates x itself."""
    for rate in (source_rate, target_rate):
        check_rate(rate)
    if source_rate == target_rate:
        return x
    common = math.gcd(source_rate, target_rate)
    up, down = target_rate // common, source_rate // common

    length = -(-x.shape[-1] * up // down)
    if x.numel() == 0:
        return x.new_zeros(*x.shape[:-1], length)
    sound = x.reshape(-1, x.shape[-1]).to(torch.promote_types(x.dtype, torch.float32))
    return convolve(sound, up, down, length).reshape(*x.shape[:-1], length).to(x.dtype)


def convolve(sound: Tensor, up: int, down: int, length: int) -> Tensor:
    """sound: [N, S] -> [N, length]. Outputs one block apart share a kernel, neighbours in a block share a window."""
    repeats = -(-OUTPUTS_TOGETHER // up)
    block, hop = up * repeats, down * repeats  # so many outputs for so many inputs
    blocks = -(-length // block)
    reach = math.ceil(ZERO_CROSSINGS * max(1.0, down / up))
    padded = F.pad(sound, (reach, max(0, blocks * hop + reach + 1 - sound.shape[-1])))
    result = sound.new_empty(sound.shape[0], blocks, block)

    for first in range(0, min(block, length), OUTPUTS_TOGETHER):
        outputs = range(first, min(first + OUTPUTS_TOGETHER, block))
        start = first * down // up
        kernel = kernel_of(outputs, start, reach, up, down).to(sound)
        windows = padded[:, start:].unfold(-1, kernel.shape[0], hop)
        rows = max(1, WINDOW_VALUES // (kernel.shape[0] * sound.shape[0]))
        for row in range(0, blocks, rows):
            some = slice(row, min(row + rows, blocks))
            result[:, some, outputs.start : outputs.stop] = windows[:, some] @ kernel
    return result.flatten(1)[:, :length]


def kernel_of(outputs: range, start: int, reach: int, up: int, down: int) -> Tensor:
    """[taps, outputs] float64 weights of the inputs from `start - reach` on; every column sums to 1."""
    taps = torch.arange(start - reach, outputs[-1] * down // up + reach + 2)[:, None]
    apart = (torch.tensor(outputs) * down - taps * up).double() / max(
        up, down
    )  # in samples of the lower rate
    cutoff = (PASS_BAND + STOP_BAND) / 2
    window = torch.special.i0(KAISER_BETA * (1 - (apart / ZERO_CROSSINGS) ** 2).clamp_min(0).sqrt())
    weights = torch.where(apart.abs() <= ZERO_CROSSINGS, torch.special.sinc(cutoff * apart) * window, 0.0)
    return weights / weights.sum(0)


def check_rate(rate: int) -> None:
    """Refuse a rate that no recording has."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InvalidAudioError(
            f"A sample rate of {rate} Hz is outside of {LOWEST_RATE} to {HIGHEST_RATE} Hz.",
            "Convert the sound to a usual rate such as 44100 or 48000 Hz first.",
        )
