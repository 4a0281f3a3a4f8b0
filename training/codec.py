"""Builds the VAE by linear algebra: a channel that is struck plays its whole sound, and the encoder hears which it was.

    python -m training.codec STATE

No gradient is taken. The decoder's innermost layer holds each sound in seven pieces of 40 ms, found by least squares
over the filterbank's atoms. Before them stands a staircase: the Snake that turns values near 0 into nothing and
values near a strike into exactly a strike. The encoder is the best linear guess of a strike from 160 ms of sound, in
which all 64 sounds may be ringing at once.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import layout, timbres
from .composer import Song, score
from .core import Oobleck
from .filterbank import UNITS, Weights, decibels, delayed_samples, filterbank

BANDS, STEP = 96, 10  # channels at 250 Hz, samples of 250 Hz in a frame
PIECES = 7  # of a sound, one frame long each, one per tap of the first convolution
REACH = 80  # samples at 250 Hz that a sound can fill
EARLY = 1  # samples at 250 Hz before the strike: the bands' windows begin there
EDGE = 5  # samples at 250 Hz that a transposed convolution cuts off
HOP = 192  # samples of sound per sample at 250 Hz
CONSTANT = layout.CHANNELS * PIECES  # the unit that always says 1
STAIR = math.pi / layout.STRIKE  # frequency of the staircase's Snake
REST = layout.STRIKE / (2 * math.pi) - layout.STRIKE / 4  # what a staircase says of 0; negative
BEFORE, AROUND = 15, 40  # of the encoder: samples at 250 Hz before a frame's middle, and in all
RIDGE = 1e-5  # how much noise the encoder expects, as a share of the average sound
SEED = 11


def atoms(codec: Oobleck) -> Tensor:
    """What one number in each band becomes: [96, samples], its moment at `HOP * 10`."""
    heard = []
    for band in range(BANDS):
        x = torch.zeros(21, BANDS)
        x[10, band] = 1
        for block in list(codec.decoder.block)[1:]:
            x = block.refine_(block.upsample(x))
        heard.append(codec.decoder.conv2(codec.decoder.snake1.apply_(x))[:, 0])
    return torch.stack(heard)


def fitted(sounds: Tensor, atoms: Tensor) -> Tensor:
    """Least squares of sounds [64, samples] on the atoms at 80 moments -> [64, 80, 96]."""
    pad, half = 12 * HOP, 2  # every other sample is enough: nothing is above 6 kHz
    own, hop = atoms[:, ::half], HOP // half
    wanted = F.pad(sounds, (pad, pad))[:, ::half]
    starts = [pad // half + (moment - EARLY - 10) * hop for moment in range(REACH)]
    asked = torch.cat([own @ wanted[:, start : start + own.shape[1]].T for start in starts])
    gram = torch.zeros(REACH, BANDS, REACH, BANDS)
    for lag in range(-(-own.shape[1] // hop)):  # what two atoms share depends on how far they are apart alone
        shared = own[:, lag * hop :] @ own[:, : own.shape[1] - lag * hop].T
        for moment in range(REACH - lag):
            gram[moment, :, moment + lag] = shared
            gram[moment + lag, :, moment] = shared.T
    gram = gram.reshape(REACH * BANDS, REACH * BANDS)
    gram.diagonal().add_(1e-4 * float(gram.diagonal().mean()))
    solution = torch.cholesky_solve(asked, torch.linalg.cholesky(gram))
    return solution.T.reshape(len(sounds), REACH, BANDS)


def write_sounds(weights: Weights, parts: Tensor) -> None:
    """Put the fitted sounds into the two innermost convolutions, behind the staircase."""
    first, kernel = weights.convolutions["decoder.conv1"], weights.convolutions["decoder.block.0.conv_t1"]
    alpha, beta = weights.snakes["decoder.block.0.snake1"]
    for channel in range(layout.CHANNELS):
        for lag in range(PIECES):
            unit = channel * PIECES + lag
            first[unit, channel, PIECES - 1 - lag] = 1
            low, high = max(0, lag * STEP - (lag == 0) * EDGE), lag * STEP + STEP
            low, high = (0, STEP + EDGE) if lag == 0 else (low + EDGE, high + EDGE)
            begin = 0 if lag == 0 else EDGE
            kernel[unit, :, begin : begin + high - low] = parts[channel, low:high].T / layout.STRIKE
    stairs = slice(0, CONSTANT)
    weights.biases["decoder.conv1"][stairs] = -layout.STRIKE / 4
    alpha[stairs] = beta[stairs] = math.log(STAIR)
    weights.biases["decoder.conv1"][CONSTANT] = 1
    stored = kernel[stairs].half().float()  # what a checkpoint keeps of them, so that silence stays silent
    kernel[CONSTANT] = -REST * stored.sum(0)


def bands_of(codec: Oobleck, sound: Tensor) -> Tensor:
    """What the encoder's innermost layer sees of sound [samples, 2]: [frames * 10, 96]."""
    x = codec.encoder.conv1(sound)
    *outer, inner = list(codec.encoder.block)
    for block in outer:
        x = block.downsample_(x)
    return inner.res_unit3.apply_(inner.res_unit2.apply_(inner.res_unit1.apply_(x)))


def views(bands: Tensor) -> Tensor:
    """The stretch of bands that each frame is judged by: [frames, 40 * 96]."""
    frames = len(bands) // STEP
    padded = F.pad(bands, (0, 0, BEFORE, AROUND))
    return padded.unfold(0, AROUND, STEP)[:frames].reshape(frames, -1)


def listen(codec: Oobleck) -> Tensor:
    """Weights [96, 40, 64] that find a strike in a view and are deaf to all others, earlier and later ones included."""
    frames, struck = 24, 12
    seen = []
    for channel in range(layout.CHANNELS):
        roll = torch.zeros(1, frames, layout.CHANNELS)
        roll[0, struck, channel] = layout.STRIKE
        seen.append(views(bands_of(codec, codec.decode(roll)[0].T.contiguous())))
    ways = torch.stack(seen).transpose(0, 1).flatten(0, 1).double()  # [frame and channel, view]
    gram = ways @ ways.T
    gram.diagonal().add_(RIDGE * float(gram.diagonal().mean()))
    here = torch.zeros(len(ways), layout.CHANNELS, dtype=ways.dtype)
    here[struck * layout.CHANNELS : (struck + 1) * layout.CHANNELS] = layout.STRIKE * torch.eye(
        layout.CHANNELS
    )
    return (ways.T @ torch.linalg.solve(gram, here)).float().reshape(BANDS, AROUND, layout.CHANNELS)


def write_hearing(weights: Weights, regression: Tensor) -> None:
    """Put the regression into the encoder's two innermost convolutions, in two halves of 20 samples."""
    kernel, last = weights.convolutions["encoder.block.4.conv1"], weights.convolutions["encoder.conv2"]
    for channel in range(layout.CHANNELS):
        for half, tap in ((0, 0), (1, 2)):
            unit = 2 * channel + half
            kernel[unit] = regression[:, half * 20 : half * 20 + 20, channel]
            last[channel, unit, tap] = 1
    weights.biases["encoder.conv2"][layout.CHANNELS :] = -10.0  # the posterior is certain of itself


def construct() -> Weights:
    """The whole codec."""
    assert delayed_samples() == 3 * STEP + EDGE - EARLY, "a sound begins with its frame"
    assert CONSTANT + 1 <= UNITS, "every piece of a sound has its unit"
    weights = filterbank()
    parts = fitted(torch.from_numpy(timbres.sounds()), atoms(weights.codec()))
    write_sounds(weights, parts)
    write_hearing(weights, listen(weights.codec()))
    return weights


def mixed(roll: Tensor) -> Tensor:
    """What a score [frames, 64] should sound like, strike by strike: [samples]."""
    sounds, hop = torch.from_numpy(timbres.sounds()), HOP * STEP
    sound = torch.zeros(len(roll) * hop + sounds.shape[1])
    for frame, channel in (roll > layout.STRIKE / 2).nonzero().tolist():
        sound[frame * hop : frame * hop + sounds.shape[1]] += sounds[channel]
    return sound[: len(roll) * hop]


def report(codec: Oobleck) -> str:
    """How true the codec is to songs it has not seen."""
    rng, lines = np.random.default_rng(SEED + 1), []
    for style in ("calm", "pop", "dance", "latin", "waltz"):
        roll = torch.from_numpy(score(Song.drawn(rng, style=style), 0, 250))
        roll[-8:] = 0  # sounds that are cut off are heard wrongly
        sound = codec.decode(roll[None])
        again = codec.encode(sound).mean
        lines.append(
            f"{style}: song {decibels(mixed(roll), sound[0, 0]):.1f} dB, latents heard {decibels(roll, again[0]):.1f} dB,"
            f" decoded again {decibels(sound, codec.decode(again)):.1f} dB"
        )
    return "\n".join(lines)


def main() -> None:
    """Build and save from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("state", type=Path)
    given = parser.parse_args()
    torch.manual_seed(SEED)
    weights = construct()
    torch.save(weights.official(torch.float16), given.state)
    print(report(weights.codec(torch.float16)))


if __name__ == "__main__":
    main()
