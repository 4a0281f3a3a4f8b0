"""The layers of the Oobleck VAE, for one song [T, C], channels last.

A convolution of kernel 1 is then a matrix product, one whose kernel is twice its stride is two of them, and Snake
walks over contiguous memory. Every layer keeps its weight in the order that its products want: `layout`.

Activations are by far the largest tensors of the VAE, so their memory is used again where it can be. Who owns x: a
method with a trailing underscore, as in torch, writes into its first argument, which from then on is spent unless the
method returns it; a method without one leaves what it is given alone.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

CPU_PIECE = 1 << 20  # numbers that Snake takes at a time: they stay in the cache, and threads rarely wait ...
DEVICE_PIECE = 1 << 23  # ... which on a GPU are kernel launches


class Snake(nn.Module):
    """x + sin(a x)^2 / b, per channel. Stored are a and 1 / sqrt(b)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.empty(channels))
        self.amplitude = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: [T, C] -> [T, C]."""
        return self._into(torch.empty_like(x), x)

    def apply_(self, x: Tensor) -> Tensor:
        """The same, in the memory of x."""
        return self._into(x, x)

    def _into(self, out: Tensor, x: Tensor) -> Tensor:
        frequency, amplitude = self.frequency.to(x), self.amplitude.to(x)
        piece = max(1, (CPU_PIECE if x.device.type == "cpu" else DEVICE_PIECE) // x.shape[-1])
        scratch = torch.empty_like(x[:piece])
        for here, there in zip(x.split(piece), out.split(piece), strict=True):
            wave = torch.mul(here, frequency, out=scratch[: len(here)]).sin_().mul_(amplitude)
            torch.addcmul(here, wave, wave, out=there)
        return out


class Conv(nn.Module):
    """Convolution that keeps the length; as a 2-D convolution of height 1 it can take channels last."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, kernel, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.dilation = dilation
        self.padding = kernel // 2 * dilation

    @staticmethod
    def layout(weight: Tensor) -> Tensor:
        """Conv1d's [out, in, k] -> [out, k, in]."""
        return rearrange(weight, "o i k -> o k i")

    def forward(self, x: Tensor) -> Tensor:
        """x: [T, in] -> [T, out]."""
        y = F.conv2d(
            rearrange(x, "t c -> 1 c 1 t"),
            rearrange(self.weight, "o k i -> o i 1 k"),
            self.bias,
            padding=(0, self.padding),
            dilation=(1, self.dilation),
        )
        return rearrange(y, "1 c 1 t -> t c")


class PointwiseConv(nn.Module):
    """Convolution of kernel 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.bias = nn.Parameter(torch.empty(channels))

    @staticmethod
    def layout(weight: Tensor) -> Tensor:
        """Conv1d's [out, in, 1] -> [in, out]."""
        return rearrange(weight, "o i 1 -> i o")

    def add_(self, residual: Tensor, x: Tensor) -> Tensor:
        """Add the convolution of x [T, C] to `residual` [T, C]."""
        return residual.add_(self.bias).addmm_(x, self.weight)


class DownsamplingConv(nn.Module):
    """Convolution of stride s and kernel 2 s: every output is made of two neighbouring groups of s frames."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, stride * inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride = stride

    @staticmethod
    def layout(weight: Tensor) -> Tensor:
        """Conv1d's [out, in, 2 s] -> [2, s * in, out]."""
        return rearrange(weight, "o i (two s) -> two (s i) o", two=2)

    def forward(self, x: Tensor) -> Tensor:
        """x: [T, in] -> [floor(T / s), out]."""
        before = self.stride // 2
        after = (
            (len(x) // self.stride + 1) * self.stride - len(x) - before
        )  # negative where frames are left over
        groups = rearrange(F.pad(x, (0, 0, before, after)), "(t s) c -> t (s c)", s=self.stride)
        return torch.addmm(self.bias, groups[:-1], self.weight[0]).addmm_(groups[1:], self.weight[1])


class UpsamplingConv(nn.Module):
    """Transposed convolution of stride s and kernel 2 s: every group of s outputs is made of two frames."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, inputs, stride * outputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride = stride

    @staticmethod
    def layout(weight: Tensor) -> Tensor:
        """ConvTranspose1d's [in, out, 2 s] -> [2, in, s * out]."""
        return rearrange(weight, "i o (two s) -> two i (s o)", two=2)

    def forward(self, x: Tensor) -> Tensor:
        """x: [T, in] -> [s T, out]."""
        bias, cut = self.bias.repeat(self.stride), self.stride // 2
        frames = F.pad(x, (0, 0, 1, 1))
        groups = torch.addmm(bias, frames[1:], self.weight[0]).addmm_(frames[:-1], self.weight[1])
        return rearrange(groups, "t (s c) -> (t s) c", s=self.stride)[cut:-cut]
