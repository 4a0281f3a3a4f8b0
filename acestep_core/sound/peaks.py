"""The wave of a song as a player draws it: the lowest and highest sample of every hundredth of a second, in one small file."""

# A header of 16 bytes, little-endian: `AGPK`, version and channels (16 bits each), pairs per second and pairs (32 bits
# each). Then for every pair and channel the lowest and the highest sample, 127 being full scale. web/peaks.js reads it.

import struct
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from .levels import require_sound

MAGIC, VERSION = b"AGPK", 1
HEADER = struct.Struct("<4sHHII")
PAIRS_PER_SECOND = 100
FULL = 127
PIECE = 30  # seconds that are looked at together, so that the memory does not grow with the song


def peaks_of(samples: Tensor, sample_rate: int) -> bytes:
    """The file of [C, S], all channels drawn as one: mixed down, what is out of phase would vanish."""
    return peaks_of_parts([samples.detach()], sample_rate)


def peaks_of_parts(parts: Iterable[Tensor], sample_rate: int) -> bytes:
    """The same of a song that comes in parts [C, S] of any length, which are forgotten as soon as they were looked at."""
    found = [pairs_in(piece, sample_rate) for piece in in_pieces(parts, PIECE * sample_rate)]
    pairs = torch.cat(found or [torch.zeros(0, 2)])
    require_sound(pairs, "The song")
    return HEADER.pack(MAGIC, VERSION, 1, PAIRS_PER_SECOND, len(pairs)) + pairs.numpy().tobytes()


def in_pieces(parts: Iterable[Tensor], length: int) -> Iterator[Tensor]:
    """The lowest and the highest of all channels, [2, S], in pieces of this length and what is left."""
    kept, waiting = list[Tensor](), 0
    for part in parts:
        require_sound(part, "The song")
        for sound in part.split(length, -1):
            kept.append(torch.stack((sound.amin(0), sound.amax(0))).to("cpu", torch.float32))
            waiting += sound.shape[-1]
            if waiting >= length:
                together = torch.cat(kept, -1)
                yield together[:, :length]
                kept, waiting = [together[:, length:]], waiting - length
    if waiting:
        yield torch.cat(kept, -1)


def pairs_in(samples: Tensor, sample_rate: int) -> Tensor:
    """int8 [pairs, 2] of [C, S] that begins at a whole second; the last pair has what is left.

    Steps are rounded outwards: whatever sounds can be seen.
    """
    length = samples.shape[-1]
    count = -(-length * PAIRS_PER_SECOND // sample_rate)
    edges = torch.arange(count + 1) * sample_rate // PAIRS_PER_SECOND
    last = torch.maximum(edges[1:].clamp_max(length) - 1, edges[:-1])
    longest = -(-sample_rate // PAIRS_PER_SECOND)
    places = torch.minimum(edges[:-1, None] + torch.arange(longest), last[:, None])
    low = samples.amin(0)[places].amin(-1).double()
    high = samples.amax(0)[places].amax(-1).double()
    steps = torch.stack(((low * FULL).floor(), (high * FULL).ceil()), -1)
    return steps.clamp(-FULL, FULL).to(torch.int8)
