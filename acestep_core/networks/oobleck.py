"""The Oobleck VAE of stable audio, between sound and latent frames.

Inside, a sequence is one song with the channels last. Weight norm and the logarithms of Snake are folded into the
weights once, when a checkpoint is read. Methods with a trailing underscore write into their argument (oobleck_layers).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..errors import InvalidAudioError, InvalidInputError, UnsupportedCheckpointError
from ..finite import all_finite
from ..timebase import SAMPLES_PER_FRAME
from .config import VaeConfig
from .oobleck_layers import Conv, DownsamplingConv, PointwiseConv, Snake, UpsamplingConv

DILATIONS = (1, 3, 9)  # of the three residual units of a block
FINE_BLOCKS = 3  # on the sound's side of encoder and decoder: most of their memory, and little of their reach
MIN_STD = 1e-4  # added to every posterior's standard deviation


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the encoder knows of every latent frame."""

    mean: Tensor  # [B, T, D] float32
    std: Tensor  # [B, T, D] float32

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw latents [B, T, D]; the noise is drawn on the CPU, so that a seed means the same everywhere."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=torch.float32)
        return torch.addcmul(self.mean, self.std, noise.to(self.mean))


class ResidualUnit(nn.Module):
    """x + conv2(snake(conv1(snake(x))))."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.snake1 = Snake(channels)
        self.conv1 = Conv(channels, channels, 7, dilation)
        self.snake2 = Snake(channels)
        self.conv2 = PointwiseConv(channels)

    def apply_(self, x: Tensor) -> Tensor:
        """x: [T, C] -> [T, C], in the memory of x."""
        hidden = self.conv1(self.snake1(x))
        return self.conv2.add_(x, self.snake2.apply_(hidden))


class EncoderBlock(nn.Module):
    """Three residual units, then fewer frames."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(inputs, d) for d in DILATIONS)
        self.snake1 = Snake(inputs)
        self.conv1 = DownsamplingConv(inputs, outputs, stride)

    def downsample_(self, x: Tensor) -> Tensor:
        """x: [T, in] -> [T / stride, out]."""
        x = self.res_unit3.apply_(self.res_unit2.apply_(self.res_unit1.apply_(x)))
        return self.conv1(self.snake1.apply_(x))


class DecoderBlock(nn.Module):
    """More frames, then three residual units."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.snake1 = Snake(inputs)
        self.conv_t1 = UpsamplingConv(inputs, outputs, stride)
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(outputs, d) for d in DILATIONS)

    def upsample(self, x: Tensor) -> Tensor:
        """x: [T, in] -> [stride * T, out]."""
        return self.conv_t1(self.snake1(x))

    def refine_(self, x: Tensor) -> Tensor:
        """x: [T, out] -> [T, out], in the memory of x."""
        return self.res_unit3.apply_(self.res_unit2.apply_(self.res_unit1.apply_(x)))


class Encoder(nn.Module):
    """Audio of one song -> mean and raw deviation of its latent frames."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        width = config.encoder_hidden_size
        widths = [width * multiple for multiple in (1, *config.channel_multiples)]
        self.conv1 = Conv(config.audio_channels, width, 7)
        self.block = nn.ModuleList(
            EncoderBlock(*ends, stride)
            for ends, stride in zip(pairwise(widths), config.downsampling_ratios, strict=True)
        )
        self.snake1 = Snake(widths[-1])
        self.conv2 = Conv(widths[-1], 2 * config.decoder_input_channels, 3)

    def forward(self, samples: Tensor) -> Tensor:
        """samples: [S, C] -> [floor(S / 1920), 2 D]."""
        return self.coarse_(self.fine(samples))

    def fine(self, samples: Tensor) -> Tensor:
        """The blocks that are near the sound: samples [S, C] -> steps [N, W]."""
        x = self.conv1(samples)
        for block in cast(Iterable[EncoderBlock], self.block[:FINE_BLOCKS]):
            x = block.downsample_(x)
        return x

    def coarse_(self, x: Tensor) -> Tensor:
        """The blocks that are near the frames: steps [N, W] -> [floor(N / 60), 2 D]."""
        for block in cast(Iterable[EncoderBlock], self.block[FINE_BLOCKS:]):
            x = block.downsample_(x)
        return self.conv2(self.snake1.apply_(x))


class Decoder(nn.Module):
    """Latent frames of one song -> its audio."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = [config.decoder_channels * multiple for multiple in reversed((1, *config.channel_multiples))]
        strides = reversed(config.downsampling_ratios)
        self.conv1 = Conv(config.decoder_input_channels, widths[0], 7)
        self.block = nn.ModuleList(
            DecoderBlock(*ends, stride) for ends, stride in zip(pairwise(widths), strides, strict=True)
        )
        self.snake1 = Snake(widths[-1])
        self.conv2 = Conv(widths[-1], config.audio_channels, 7, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """frames: [T, D] -> [1920 T, C]."""
        return self.fine(self.coarse(frames))

    def coarse(self, frames: Tensor) -> Tensor:
        """The blocks that are near the frames: [T, D] -> steps [60 T, W]."""
        return passed(self.block[:-FINE_BLOCKS], self.conv1(frames))

    def fine(self, steps: Tensor) -> Tensor:
        """The blocks that are near the sound: steps [N, W] -> samples [32 N, C]."""
        return self.conv2(self.snake1.apply_(passed(self.block[-FINE_BLOCKS:], steps)))


def passed(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """x [T, in] through some of a decoder's blocks."""
    for block in cast(Iterable[DecoderBlock], blocks):
        x = block.upsample(x)
        x = block.refine_(x)  # a statement of its own: what came into the block is free by now
    return x


class Oobleck(nn.Module):
    """Encoder and decoder; the songs of a batch pass one after the other."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        refuse_other_strides(config.downsampling_ratios)
        self.config = config
        self.steps_per_frame = math.prod(config.downsampling_ratios[FINE_BLOCKS:])  # between coarse and fine
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def encode(self, audio: Tensor) -> Posterior:
        """audio: [B, C, S] -> frames [B, T, D]; the samples behind the last whole frame only colour it."""
        self.check_audio(audio)
        return posterior_of(
            torch.stack([self.encoder(self.take(rearrange(song, "c s -> s c"))) for song in audio])
        )

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """latents: [B, T, D] -> audio [B, C, 1920 T] float32."""
        self.check_latents(latents)
        songs = torch.stack([self.decoder(self.take(song)) for song in latents])
        return rearrange(songs, "b s c -> b c s").float().contiguous()

    def take(self, song: Tensor) -> Tensor:
        """The song [T, C] on the device and in the dtype of the weights."""
        return song.to(self.decoder.conv1.weight).contiguous()

    def check_latents(self, latents: Tensor) -> None:
        """Refuse latents that are not finite frames [B, T, D]."""
        channels = self.config.decoder_input_channels
        if latents.ndim != 3 or latents.shape[-1] != channels or not latents.numel():
            raise InvalidInputError(
                f"Latents of shape {tuple(latents.shape)} cannot be decoded: [batch, frames, {channels}] is needed.",
                "Wire in an ACE-Step 1.5 latent of at least one frame.",
            )
        if not all_finite(latents):
            raise InvalidInputError(
                "The latents hold NaN or infinite values.",
                "Sample again in another precision (bf16 or fp32); fp16 overflows in this model.",
            )

    def check_audio(self, audio: Tensor) -> None:
        """Refuse audio that is not finite, not [B, C, S], or shorter than a frame."""
        channels = self.config.audio_channels
        if (
            audio.ndim != 3
            or audio.shape[1] != channels
            or not len(audio)
            or audio.shape[-1] < SAMPLES_PER_FRAME
        ):
            raise InvalidAudioError(
                f"Audio of shape {tuple(audio.shape)} cannot be encoded.",
                f"Give [batch, {channels}, samples] at 48 kHz, at least {SAMPLES_PER_FRAME} samples long.",
            )
        if not all_finite(audio):
            raise InvalidAudioError(
                "The audio holds NaN or infinite values.",
                "Export it again from where it was made, or cut that part.",
            )


def posterior_of(encoded: Tensor) -> Posterior:
    """Split the encoder's output [..., 2 D] into mean and standard deviation, in fp32."""
    mean, scale = encoded.float().chunk(2, -1)
    return Posterior(mean.contiguous(), F.softplus(scale) + MIN_STD)


def refuse_other_strides(strides: tuple[int, ...]) -> None:
    """Only even strides that make frames of 1920 samples are ACE-Step's."""
    if math.prod(strides) != SAMPLES_PER_FRAME or any(stride % 2 for stride in strides):
        raise UnsupportedCheckpointError(
            f"This VAE's strides {list(strides)} do not make frames of {SAMPLES_PER_FRAME} samples.",
            "Choose the VAE of ACE-Step 1.5; those of other audio models have another frame rate.",
        )
