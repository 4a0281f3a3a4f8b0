"""The original recording put back where a repainted or extended song kept it."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidAudioError, InvalidInputError
from ..timebase import SAMPLE_RATE, FrameSpan, frames_in, frames_of, require_seconds, samples_of, seconds_of
from .levels import require_sound


def splice(new: Tensor, original: Tensor, mask: Tensor, crossfade: float, offset: float = 0.0) -> Tensor:
    """[B, 2, S] of `new` inside the mask and of `original`, bit for bit, outside; both at 48 kHz.

    original: [B or 1, 2, S0], its first sample at `offset` seconds of the song (nearest frame; below 0: its head is
    left out). mask: [T], [1, T] or [B, T] at 25 Hz, above 0.5 = new. Linear crossfades of so many seconds lie inside
    the mask's spans, never at the song's own ends; they shorten to half of a short span, and to what the original
    holds. The song is as long as `new`, which also stands wherever the original has no sample; only when the last
    frame is kept, the original's rest of under a frame, which the VAE cannot encode, follows.
    """
    require_seconds(crossfade, "A crossfade")
    require_sound(new, "The new song")
    require_sound(original, "The original")
    masks = torch.atleast_2d(mask > 0.5).cpu()
    check_match(new, original, masks)

    shift = samples_before(offset)
    if shift < 0:
        original, shift = original[..., -shift:], 0
    rest = shift + original.shape[-1] - new.shape[-1]
    if 0 < rest < samples_of(1) and not masks[:, -1].any():
        new = F.pad(new, (0, rest))
    if original.shape[-1] == 0 or shift >= new.shape[-1]:
        raise InvalidInputError(
            f"Placed at {offset:g} s, the original lies outside of the song of {seconds_of(masks.shape[1]):g} s.",
            "Choose the offset at which the original begins within the new song.",
        )

    ramp = int(crossfade * SAMPLE_RATE)
    originals = original.to(new).expand(new.shape[0], -1, -1)
    pairs = zip(new, originals, masks.expand(new.shape[0], -1), strict=True)
    return torch.stack([splice_one(song, kept, inside, ramp, shift) for song, kept, inside in pairs])


def splice_one(new: Tensor, original: Tensor, mask: Tensor, ramp: int, shift: int) -> Tensor:
    """new: [2, S], original: [2, S0] from sample `shift` of the song on, mask: [T] bool -> [2, S]."""
    length = new.shape[-1]
    song = new.clone()
    covered = range(shift, min(shift + original.shape[-1], length))

    for span in runs_of(~mask):
        start, stop = samples_in(span, mask, length)
        start, stop = max(start, covered.start), min(stop, covered.stop)
        if start < stop:
            song[:, start:stop] = original[:, start - shift : stop - shift]

    for span in runs_of(mask):
        start, stop = samples_in(span, mask, length)
        fades_in = start > 0 and start - 1 in covered
        fades_out = stop < length and stop in covered
        room = min(ramp, (stop - start) // max(1, fades_in + fades_out))
        if fades_in:
            rise = min(room, covered.stop - start)
            weight = torch.linspace(0, 1, rise + 1, device=new.device, dtype=new.dtype)[1:]
            blend_into(song, original, weight, start, shift)
        if fades_out:
            fall = min(room, stop - covered.start)
            weight = torch.linspace(1, 0, fall + 1, device=new.device, dtype=new.dtype)[1:]
            blend_into(song, original, weight, stop - fall, shift)
    return song


def blend_into(song: Tensor, original: Tensor, weight: Tensor, start: int, shift: int) -> None:
    """Mix the original into `song` from `start` on, in place; weight 1 leaves the song as it is."""
    part = song[:, start : start + len(weight)]
    part.copy_(torch.lerp(original[:, start - shift :][:, : len(weight)], part, weight))


def samples_before(offset: float) -> int:
    """Samples of the new song before the original's first, whole frames as an extension pads them."""
    if not math.isfinite(offset):
        raise InvalidInputError(
            f"An offset of {offset:g} s is no place in a song.", "Enter a number of seconds."
        )
    return samples_of(frames_of(offset))


def runs_of(inside: Tensor) -> Iterator[FrameSpan]:
    """The spans of consecutive true frames of [T] bool."""
    outside = torch.zeros(1, dtype=torch.int8)
    steps = torch.diff(inside.to(torch.int8), prepend=outside, append=outside)
    starts, stops = (steps == 1).nonzero().flatten().tolist(), (steps == -1).nonzero().flatten().tolist()
    return (FrameSpan(start, stop) for start, stop in zip(starts, stops, strict=True))


def samples_in(span: FrameSpan, mask: Tensor, length: int) -> tuple[int, int]:
    """Where a span of frames lies in samples; the last frame reaches to the song's end."""
    return samples_of(span.start), length if span.stop == len(mask) else samples_of(span.stop)


def check_match(new: Tensor, original: Tensor, masks: Tensor) -> None:
    """Refuse sounds and masks of different songs."""
    items, channels, length = new.shape
    if original.shape[0] not in (1, items) or masks.shape[0] not in (1, items):
        raise InvalidInputError(
            f"{items} new songs came with {original.shape[0]} originals and {masks.shape[0]} masks.",
            "Use one original and one mask for all, or one of each per song.",
        )
    if original.shape[1] != channels:
        raise InvalidAudioError(
            f"The new song has {channels} channels and the original {original.shape[1]}.",
            "Convert the original to 48 kHz stereo first.",
        )
    if masks.shape[1] != frames_in(length):
        raise InvalidInputError(
            f"The mask is for {seconds_of(masks.shape[1]):g} s, the new song has {seconds_of(frames_in(length)):g} s.",
            "Use the mask that the song was generated with, and the song as decoded.",
        )
