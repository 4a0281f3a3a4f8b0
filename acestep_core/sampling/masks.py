"""Masks of what to generate, made from seconds or from a picture that somebody drew."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..timebase import FrameSpan, frames_of, require_seconds, seconds_of
from .repaint import ramps

MOST_TOLD = 3  # spans in a message


def chunk_mask(
    spans: Sequence[FrameSpan], frames: int, fade: float = 0.0, shape: Tensor | None = None
) -> Tensor:
    """[1 or B, frames]: 1 inside the spans, falling linearly to 0 over `fade` seconds outside of them.

    shape: [B, frames] in [0, 1], counts inside the spans only; a fade then follows its edges, and all above 0.5 counts as 1.
    """
    require_seconds(fade, "A fade")
    inside = torch.stack([span.mask(frames) for span in spans]).amax(0)[None]
    mask = inside if shape is None else inside * shape
    if not (mask > 0.5).any():
        where = " or ".join(
            f"from {seconds_of(one.start):g} to {seconds_of(one.stop):g} s" for one in spans[:MOST_TOLD]
        )
        raise InvalidInputError(
            f"The wired mask marks nothing {where}.",
            "Mark a part of the song in it (white, above 0.5), or move start and end to where it is marked.",
        )
    return torch.maximum(mask, ramps(mask > 0.5, frames_of(fade))) if frames_of(fade) else mask


def drawn_mask(picture: Tensor, frames: int) -> Tensor:
    """A mask of any size [W], [H, W] or [..., H, W] as [B, frames]: a column is as bright as its brightest pixel."""
    if not picture.numel() or picture.ndim == 0:
        raise InvalidInputError("The mask is empty.", "Draw one, or unplug it and set start and end.")
    if not picture.isfinite().all():
        raise InvalidInputError(
            "The mask holds NaN or infinite values.", "Make it anew; what made it has failed."
        )
    rows = picture.float().clamp(0, 1)
    columns = rows[None] if rows.ndim == 1 else rows.reshape(-1, *rows.shape[-2:]).amax(1)
    middle = (torch.arange(frames, device=columns.device) * 2 + 1) * columns.shape[-1] // (2 * frames)
    return columns[:, middle]
