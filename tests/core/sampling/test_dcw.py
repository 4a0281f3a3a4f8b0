"""The closed form equals the wavelet transform written out."""

import math

import pytest
import torch

from acestep_core.errors import InvalidInputError
from acestep_core.sampling.dcw import MODES, WaveletCorrection

HAAR_LOW, HAAR_HIGH = (1 / math.sqrt(2), 1 / math.sqrt(2)), (1 / math.sqrt(2), -1 / math.sqrt(2))


def states(frames: int):
    generator = torch.Generator().manual_seed(frames)
    return (torch.randn(2, frames, 3, generator=generator) for _ in range(2))


def transformed(x):
    """Both Haar bands of [B, T, C], T even."""
    even, odd = x[:, 0::2], x[:, 1::2]
    return tuple(f[0] * even + f[1] * odd for f in (HAAR_LOW, HAAR_HIGH))


def restored(low, high):
    out = torch.empty(low.shape[0], 2 * low.shape[1], low.shape[2])
    out[:, 0::2] = HAAR_LOW[0] * low + HAAR_HIGH[0] * high
    out[:, 1::2] = HAAR_LOW[1] * low + HAAR_HIGH[1] * high
    return out


def literal(x, y, t, mode):
    low = {"low": t * 0.05, "high": 0.0, "double": t * 0.05}[mode]
    high = {"low": 0.0, "high": (1 - t) * 0.05, "double": (1 - t) * 0.02}[mode]
    frames = x.shape[1]
    x, y = (torch.nn.functional.pad(v, (0, 0, 0, frames % 2)) for v in (x, y))
    (x_low, x_high), (y_low, y_high) = transformed(x), transformed(y)
    return restored(x_low + low * (x_low - y_low), x_high + high * (x_high - y_high))[:, :frames]


@pytest.mark.parametrize("mode", ["low", "high", "double"])
@pytest.mark.parametrize("frames", [1, 2, 9, 40])
def test_equals_the_transform_written_out(mode, frames):
    x, y = states(frames)
    assert (WaveletCorrection(mode)(x, y, 0.3) - literal(x, y, 0.3, mode)).abs().max() < 5e-7


def test_pix_needs_no_transform():
    x, y = states(9)
    assert torch.allclose(WaveletCorrection("pix")(x, y, 0.3), x + 0.05 * (x - y))


@pytest.mark.parametrize("mode", MODES)
def test_a_state_equal_to_its_estimate_stays(mode):
    x, _ = states(11)
    assert torch.equal(WaveletCorrection(mode)(x, x, 0.5), x)


def test_an_unknown_mode_is_refused():
    with pytest.raises(InvalidInputError, match="no wavelet correction 'triple'"):
        WaveletCorrection("triple")
