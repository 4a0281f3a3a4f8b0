"""An Oobleck that does nothing but take sound apart into narrow bands and put it together again.

All of it is written down, nothing is learnt: Snake is the identity where its amplitude is zero, a transposed
convolution is a bank of windowed oscillators, a residual unit can be a pure delay. Weights are kept under official
names and in official shapes, so that what is built here is what a checkpoint holds.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import layout
from .core import Oobleck, VaeConfig, fold, load_exactly

Complex = NDArray[np.float64]  # centre frequencies, each of which takes two channels

UNITS = 450  # of the innermost layer: seven lags of every note, one constant, one spare
STRIDES = (2, 4, 4, 6, 10)
VAE_CONFIG: dict[str, Any] = {
    "_class_name": "AutoencoderOobleck",
    "audio_channels": 2,
    "encoder_hidden_size": 2,
    "downsampling_ratios": list(STRIDES),
    "channel_multiples": [1, 3, 9, 48, UNITS // 2],
    "decoder_channels": 2,
    "decoder_input_channels": layout.CHANNELS,
    "sampling_rate": 48_000,
}
BANDS = ((np.arange(48) + 0.5) * 125, np.arange(9) * 750.0, np.arange(3) * 3000.0)  # at 250, 1500 and 6000 Hz
RATES = (1500, 6000, 24_000)  # one stage further out
NEVER = 60.0  # log beta of a Snake that adds nothing
LATER = (1, 2, 3)  # taps of the three delays: 1 + 6 + 27 samples at 250 Hz
DILATIONS = (1, 3, 9)


class Weights:
    """Official tensors of a VAE, all zero until they are set."""

    def __init__(self) -> None:
        self.convolutions: dict[str, Tensor] = {}
        self.biases: dict[str, Tensor] = {}
        self.snakes: dict[str, tuple[Tensor, Tensor]] = {}  # log alpha, log beta
        widths = [2 * multiple for multiple in (1, *VAE_CONFIG["channel_multiples"])]
        self._side("encoder", widths, list(STRIDES))
        self._side("decoder", widths[::-1], list(STRIDES[::-1]))
        self._conv("encoder.conv1", (2, 2, 7))
        self._snake("encoder.snake1", UNITS)
        self._conv("encoder.conv2", (2 * layout.CHANNELS, UNITS, 3))
        self._conv("decoder.conv1", (UNITS, layout.CHANNELS, 7))
        self._snake("decoder.snake1", 2)
        self._conv("decoder.conv2", (2, 2, 7), bias=False)

    def _side(self, side: str, widths: list[int], strides: list[int]) -> None:
        for index, stride in enumerate(strides):
            wide, narrow, block = widths[index], widths[index + 1], f"{side}.block.{index}"
            for unit in (1, 2, 3):
                inner = wide if side == "encoder" else narrow
                self._snake(f"{block}.res_unit{unit}.snake1", inner)
                self._conv(f"{block}.res_unit{unit}.conv1", (inner, inner, 7))
                self._snake(f"{block}.res_unit{unit}.snake2", inner)
                self._conv(f"{block}.res_unit{unit}.conv2", (inner, inner, 1))
            self._snake(f"{block}.snake1", wide)
            name, shape = ("conv1", (narrow, wide)) if side == "encoder" else ("conv_t1", (wide, narrow))
            self._conv(f"{block}.{name}", (*shape, 2 * stride), bias_size=narrow)

    def _conv(self, name: str, shape: tuple[int, ...], bias: bool = True, bias_size: int = 0) -> None:
        self.convolutions[name] = torch.zeros(shape)
        if bias:
            self.biases[name] = torch.zeros(bias_size or shape[0])

    def _snake(self, name: str, width: int) -> None:
        self.snakes[name] = torch.zeros(width), torch.full((width,), NEVER)

    def official(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """The tensors as a checkpoint stores them, weight norm in its two parts."""
        named: dict[str, Tensor] = {}
        for name, weight in self.convolutions.items():
            length = weight.norm(dim=(1, 2), keepdim=True)
            direction = weight / length.clamp(min=1e-30)
            direction[:, 0, 0] += (length == 0).flatten()  # of a row of zeros, which has none
            named[f"{name}.weight_g"], named[f"{name}.weight_v"] = length.to(dtype), direction.to(dtype)
        named |= {f"{name}.bias": bias.to(dtype) for name, bias in self.biases.items()}
        for name, (alpha, beta) in self.snakes.items():
            named[f"{name}.alpha"], named[f"{name}.beta"] = alpha[None, :, None], beta[None, :, None]
        return named

    def codec(self, dtype: torch.dtype = torch.float32) -> Oobleck:
        """The VAE that a loader makes of them, computing in fp32."""
        config = VaeConfig.from_json(VAE_CONFIG)
        return load_exactly(lambda: Oobleck(config), fold(self.official(dtype), config, torch.float32))


def window(stride: int) -> Complex:
    """Two overlapping halves that add up to one; for stride 2 chosen so that both halves agree in phase."""
    if stride == 2:
        return np.array([0.25, 0.75, 0.75, 0.25])
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(2 * stride) + 0.5) / (2 * stride))


def nearest(frequency: float, centres: Complex) -> int:
    """Which band of the next stage carries this frequency."""
    return int(np.argmin(np.abs(centres - frequency)))


def synthesis(inner: Complex, outer: Complex | None, stride: int, rate: int) -> Tensor:
    """A transposed convolution [in, out, 2 stride] from narrow bands to wider ones, or to sound (outer None)."""
    kernel = torch.zeros(2 * len(inner), 2 if outer is None else 2 * len(outer), 2 * stride)
    taps = np.arange(2 * stride) - stride + 0.5
    for index, frequency in enumerate(inner):
        turn = window(stride) * np.exp(2j * np.pi * frequency * taps / rate)
        real, imaginary = torch.from_numpy(turn.real).float(), torch.from_numpy(turn.imag).float()
        place = 0 if outer is None else 2 * nearest(frequency, outer)
        kernel[2 * index, place], kernel[2 * index + 1, place] = real, -imaginary
        if outer is not None:
            kernel[2 * index, place + 1], kernel[2 * index + 1, place + 1] = imaginary, real
    return kernel


def analysis(inner: Complex, outer: Complex | None, stride: int, rate: int) -> Tensor:
    """A convolution [out, in, 2 stride] the other way round: each band listens at its own frequency."""
    kernel = torch.zeros(2 * len(inner), 2 if outer is None else 2 * len(outer), 2 * stride)
    taps = np.arange(2 * stride) - stride + 0.5
    for index, frequency in enumerate(inner):
        turn = window(stride) / stride * np.exp(-2j * np.pi * frequency * taps / rate)
        real, imaginary = torch.from_numpy(turn.real).float(), torch.from_numpy(turn.imag).float()
        place = 0 if outer is None else 2 * nearest(frequency, outer)
        kernel[2 * index, place], kernel[2 * index + 1, place] = real, imaginary
        if outer is not None:
            kernel[2 * index, place + 1], kernel[2 * index + 1, place + 1] = -imaginary, real
    return kernel


def delay(weights: Weights, unit: str, tap: int) -> None:
    """Make a residual unit the pure shift y[n] = x[n + tap * dilation]: x plus (what comes minus x)."""
    channels = torch.arange(len(weights.convolutions[f"{unit}.conv1"]))
    weights.convolutions[f"{unit}.conv1"][channels, channels, 3 + tap] = 1
    weights.convolutions[f"{unit}.conv1"][channels, channels, 3] = -1
    weights.convolutions[f"{unit}.conv2"][channels, channels, 0] = 1


def filterbank() -> Weights:
    """Both trees, without what belongs to single notes; everything at 250 Hz plays 34 samples later."""
    weights, outwards = Weights(), (*BANDS[1:], None)
    made = weights.convolutions
    for index, (inner, outer, stride, rate) in enumerate(zip(BANDS, outwards, (6, 4, 4), RATES, strict=True)):
        made[f"decoder.block.{index + 1}.conv_t1"] = synthesis(inner, outer, stride, rate)
        made[f"encoder.block.{3 - index}.conv1"] = analysis(inner, outer, stride, rate)
    halves = torch.from_numpy(window(2)).float()
    made["decoder.block.4.conv_t1"][0, 0] = halves
    made["decoder.conv2"][:, 0, 3] = 1
    made["encoder.conv1"][0, :, 3] = 0.5
    made["encoder.block.0.conv1"][0, 0] = halves / 2
    for unit, tap in zip((1, 2, 3), LATER, strict=True):
        delay(weights, f"decoder.block.0.res_unit{unit}", -tap)
    for unit in (1, 2):
        delay(weights, f"encoder.block.4.res_unit{unit}", 3)  # looks 3 + 9 samples ahead
    return weights


def delayed_samples() -> int:
    """How much later the decoder plays at 250 Hz."""
    return sum(tap * dilation for tap, dilation in zip(LATER, DILATIONS, strict=True))


def decibels(wanted: Tensor, found: Tensor) -> float:
    """Signal to difference."""
    return 10 * math.log10(float(wanted.square().sum() / (wanted - found).square().sum()))
