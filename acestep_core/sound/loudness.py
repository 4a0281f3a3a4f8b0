"""How loud a song is heard to be (ITU-R BS.1770-4), and how high it peaks between its samples.

Long songs are measured in pieces, so that the memory does not grow with them.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

PIECE = 30  # seconds that are looked at together
RUN_IN = 2  # seconds after which the filters have forgotten what was before
BLOCK_STEPS = 4  # of 100 ms: a block has 400 ms, and begins every 100 ms
SILENCE, QUIETER = (
    -70.0,
    10.0,
)  # LUFS below which a block never counts, LU below the others at which it does not
OFFSET = -0.691  # dB, so that the two filters together cancel at 1 kHz
SURROUND = {5: (1.0, 1.0, 1.0, 1.41, 1.41), 6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)}  # weights by channels
SHELF = (1681.974450955533, 0.7071752369554196)  # Hz and Q of the head's shadow
SHELF_GAIN, SHELF_MIDDLE = 10 ** (3.999843853973347 / 20), 0.4996667741545416
LOW_CUT = (38.13547087602444, 0.5003270373238773)
DENSEST = 192_000  # Hz, beyond which no peaks hide between samples
REACH, KAISER_BETA = (
    32,
    6.0,
)  # of the wave between samples: up to the highest frequencies, or loud treble hides peaks


def integrated_lufs(samples: Tensor, sample_rate: int) -> float | None:
    """[C, S] -> LUFS; -inf for silence, None for sound that is shorter than a block."""
    steps = torch.cat(list(step_powers(samples, sample_rate)))
    if len(steps) < BLOCK_STEPS:
        return None
    blocks = steps.unfold(0, BLOCK_STEPS, 1).mean(-1)
    blocks = blocks[blocks > power_of(SILENCE)]
    if len(blocks) == 0:
        return -math.inf
    blocks = blocks[blocks > blocks.mean() * 10 ** (-QUIETER / 10)]
    return OFFSET + 10 * math.log10(float(blocks.mean()))


def power_of(lufs: float) -> float:
    """The weighted power that is heard as so many LUFS."""
    return 10 ** ((lufs - OFFSET) / 10)


def step_powers(samples: Tensor, sample_rate: int) -> Iterator[Tensor]:
    """Mean weighted power of every whole step of 100 ms, all channels together, in float64."""
    steps = samples.shape[-1] * 10 // sample_rate
    edges = torch.arange(steps + 1) * sample_rate // 10
    weights = torch.tensor(SURROUND.get(len(samples), (1.0,) * len(samples)), dtype=torch.float64)
    for first in range(0, max(steps, 1), 10 * PIECE):
        inside = edges[first : first + 10 * PIECE + 1]
        start, stop = int(inside[0]), int(inside[-1])
        heard = weighted(samples, start, stop, sample_rate).double().square().T @ weights
        sums = torch.cat([heard.new_zeros(1), heard.cumsum(0)])[inside - start]
        yield sums.diff() / inside.diff()


def weighted(samples: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """Samples `start` to `stop` of [C, S] as they are heard: filtered along with what was before them."""
    run_in = RUN_IN * sample_rate
    length = run_in + stop - start
    piece = cut(samples, start - run_in, stop)
    return torch.fft.irfft(torch.fft.rfft(piece) * hearing(length, sample_rate), n=length)[..., run_in:]


@lru_cache(2)  # a song's pieces are alike, but for the last one
def hearing(length: int, sample_rate: int) -> Tensor:
    """Both filters, for an FFT of so many samples."""
    return (shelf(length, sample_rate) * low_cut(length, sample_rate)).to(torch.complex64)


def cut(samples: Tensor, start: int, stop: int) -> Tensor:
    """Samples `start` to `stop` of [C, S] in fp32, silence where there are none."""
    length = samples.shape[-1]
    inside = samples[..., max(start, 0) : min(stop, length)].to("cpu", torch.float32)
    return F.pad(inside, (max(-start, 0), max(stop - length, 0)))


def biquad(length: int, upper: tuple[float, float, float], lower: tuple[float, float, float]) -> Tensor:
    """What a filter with these coefficients makes of each frequency of a real FFT."""
    delay = torch.exp(-2j * math.pi * torch.arange(length // 2 + 1, dtype=torch.float64) / length)
    above, below = (a + delay * (b + delay * c) for a, b, c in (upper, lower))
    return above / below


def shelf(length: int, sample_rate: int) -> Tensor:
    """The first filter: treble is louder."""
    frequency, quality = SHELF
    k = math.tan(math.pi * frequency / sample_rate)
    middle = SHELF_GAIN**SHELF_MIDDLE * k / quality
    return biquad(
        length,
        (SHELF_GAIN + middle + k * k, 2 * (k * k - SHELF_GAIN), SHELF_GAIN - middle + k * k),
        (1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k),
    )


def low_cut(length: int, sample_rate: int) -> Tensor:
    """The second filter: what is lower than bass is not heard."""
    frequency, quality = LOW_CUT
    k = math.tan(math.pi * frequency / sample_rate)
    whole = 1 + k / quality + k * k
    return biquad(length, (1, -2, 1), (1, 2 * (k * k - 1) / whole, (1 - k / quality + k * k) / whole))


def true_peak(samples: Tensor, sample_rate: int) -> float:
    """The largest magnitude of [C, S], between samples as well."""
    length, step = samples.shape[-1], PIECE * sample_rate
    peaks = (
        float(peaks_around(samples, at, min(at + step, length), sample_rate).max())
        for at in range(0, length, step)
    )
    return max(peaks, default=0.0)


def peaks_around(samples: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """[S] for samples `start` to `stop` of [C, S]: the largest magnitude from the sample before to the one after."""
    piece = cut(samples, start - REACH, stop + REACH)
    between = F.conv1d(piece[:, None], between_samples(min(4, DENSEST // sample_rate))).abs().amax((0, 1))
    themselves = piece[:, REACH - 1 : REACH + 1 + stop - start].abs().amax(0)
    after = torch.maximum(between, themselves[:-1])
    return torch.maximum(torch.maximum(after[:-1], after[1:]), themselves[2:])


@lru_cache
def between_samples(parts: int) -> Tensor:
    """[parts - 1, 1, 2 REACH]: what the wave is at every part of the way from one sample to the next."""
    places = torch.arange(1, max(parts, 2)).double() / max(parts, 2)
    apart = torch.arange(1 - REACH, REACH + 1)[None] - places[:, None]
    window = torch.special.i0(KAISER_BETA * (1 - (apart / REACH) ** 2).clamp_min(0).sqrt())
    weights = torch.special.sinc(apart) * window
    return (weights / weights.sum(-1, keepdim=True)).float()[:, None]
